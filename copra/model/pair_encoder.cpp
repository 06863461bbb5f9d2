// Pair features of two nodes to Z^(0), and the gradients of the weights; one row i at a time.
//
//   near_a = exp(-coefficient[type_i, type_j]_a d_a^2) over the 16 pairs a of backbone atoms
//   e = relu(w2 relu(w1 near + b1) + b2)
//   h = relu(by_type[type_i, type_j] + by_offset[offset] + w3 (e, code of two dihedral angles))
//   z = w5 relu(w4 h + b4) + b5, zero where a node has no geometry
//
// by_type and by_offset are the embeddings already multiplied with their columns of the first output layer.
#include "pair_simd.h"

namespace {

constexpr int ATOMS = 4, NEAR = 16, TYPES = 30, MAX_OFFSET = 32, OFFSETS = 65, TURNS = 13, CODE = 26;
constexpr int N_WEIGHTS = 9;

struct EncoderNodes {
    const int32_t *type, *position, *chain;        // [B][L]; chain -1: none
    const float *xyz_nm, *atom, *turned, *placed;  // [B][4][3][L], [B][4][L], [B][L], [B][L]: 0 or 1
};

struct EncoderWeights {
    const float *coefficient, *by_type, *by_offset;  // [900][16], [900][C], [65][C]
    const float *w[5], *b[4];  // w1 [C][16], w2 [C][C], w3 [C][C + 26], w4, w5 [C][C]; b1, b2, b4, b5 [C]
};

struct EncoderGradients {
    float *coefficient, *by_type, *by_offset, *w[5], *b[4];
};

struct Point {
    V x, y, z;
};
inline Point operator-(Point a, Point b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
inline V dot(Point a, Point b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
inline Point cross(Point a, Point b) {
    return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}

// The angle of (x, y) in (-pi, pi], zero at the origin; Cephes' polynomial of the arc tangent.
V angle_of(V y, V x) {
    V up = y < 0.0f ? -y : y, along = x < 0.0f ? -x : x;
    V most = larger(up, along), least = up < along ? up : along;
    V t = least / (most > 0.0f ? most : all(1.0f));
    V s = t > 0.41421356f ? (t - 1.0f) / (t + 1.0f) : t;
    V q = s * s;
    V a = (((q * 8.05374449538e-2f - 1.38776856032e-1f) * q + 1.99777106478e-1f) * q - 3.33329491539e-1f) * q * s + s;
    a = t > 0.41421356f ? a + 0.785398163f : a;
    a = up > along ? 1.57079633f - a : a;
    a = x < 0.0f ? 3.14159265f - a : a;
    return y < 0.0f ? -a : a;
}

// Sine and cosine of moderate x; quarter turns taken off in three steps, Cephes' polynomials.
void sine_cosine(V x, V& sine, V& cosine) {
    V n = (x * 0.636619772f + 12582912.0f) - 12582912.0f;
    V r = x - n * 1.5703125f - n * 4.837512969970703125e-4f - n * 7.549789948768648e-8f;
    V q = r * r;
    V s = ((q * -1.9515295891e-4f + 8.3321608736e-3f) * q - 1.6666654611e-1f) * q * r + r;
    V c = ((q * 2.443315711809948e-5f - 1.388731625493765e-3f) * q + 4.166664568298827e-2f) * q * q - 0.5f * q + 1.0f;
    VI quarter = __builtin_convertvector(n, VI);
    VI swap = (quarter & 1) != 0, minus_s = (quarter & 2) != 0, minus_c = ((quarter + 1) & 2) != 0;
    V first = swap ? c : s, second = swap ? s : c;
    sine = minus_s ? -first : first;
    cosine = minus_c ? -second : second;
}

// The torsion of four points.
V dihedral(Point p0, Point p1, Point p2, Point p3) {
    Point b0 = p1 - p0, b1 = p2 - p1, b2 = p3 - p2;
    Point left = cross(b0, b1), right = cross(b1, b2);
    V length = dot(b1, b1);
    for (int l = 0; l < W; ++l) length[l] = std::sqrt(length[l]);
    return angle_of(dot(b0, right) * length, dot(left, right));
}

// All that lies between the nodes and one row of Z, and the way back.
struct Encoder {
    Encoder(const EncoderNodes& nodes, const EncoderWeights& weights, int L, int C)
        : nodes(nodes), weights(weights), L(L), C(C), Lp(padded(L)), points(size_t(ATOMS) * 3 * Lp), atoms(ATOMS * Lp),
          turned(Lp), placed(Lp), mask(Lp), squared(NEAR * Lp), coefficient(NEAR * Lp), near(NEAR * Lp),
          e1(size_t(C) * Lp), x(size_t(C + CODE) * Lp), h1(size_t(C) * Lp), h2(size_t(C) * Lp), z(size_t(C) * Lp),
          w1(NEAR * C), w2(C * C), w3((C + CODE) * C), w4(C * C), w5(C * C) {
        Buffer* turned_weights[] = {&w1, &w2, &w3, &w4, &w5};
        for (int i = 0; i < 5; ++i) {
            const int width = i == 0 ? NEAR : i == 2 ? C + CODE : C;
            transpose(*turned_weights[i], C, weights.w[i], width, C, width);
        }
    }

    void read_sample(int b) {
        first = size_t(b) * L;
        load_rows(points, nodes.xyz_nm + first * ATOMS * 3, ATOMS * 3, L, Lp);
        load_rows(atoms, nodes.atom + first * ATOMS, ATOMS, L, Lp);
        load_rows(turned, nodes.turned + first, 1, L, Lp);
        load_rows(placed, nodes.placed + first, 1, L, Lp);
    }

    Point here(int atom, int i) const {
        const float* p = points + atom * 3 * Lp + i;
        return {all(p[0]), all(p[Lp]), all(p[2 * Lp])};
    }
    Point there(int atom, int j) const {
        const float* p = points + atom * 3 * Lp + j;
        return {load(p), load(p + Lp), load(p + 2 * Lp)};
    }
    int pair_type(int i, int j) const { return nodes.type[first + i] * TYPES + nodes.type[first + j]; }
    // row of by_offset, -1 where the two are not residues of one chain
    int offset(int i, int j) const {
        const int32_t chain = nodes.chain[first + i];
        if (chain < 0 || chain != nodes.chain[first + j]) return -1;
        const int32_t d = nodes.position[first + i] - nodes.position[first + j];
        return std::max(-MAX_OFFSET, std::min(MAX_OFFSET, d)) + MAX_OFFSET;
    }

    void nearness(int i) {
        for (int j = 0; j < L; ++j) {
            const float* row = weights.coefficient + size_t(pair_type(i, j)) * NEAR;
            for (int a = 0; a < NEAR; ++a) coefficient[a * Lp + j] = row[a];
        }
        for (int a = 0; a < NEAR; ++a)
            for (int j = 0; j < Lp; j += W) {
                Point d = here(a / ATOMS, i) - there(a % ATOMS, j);
                V square = dot(d, d), both = load(atoms + a % ATOMS * Lp + j) * atoms[a / ATOMS * Lp + i];
                store(squared + a * Lp + j, square);
                store(near + a * Lp + j, exponential(-load(coefficient + a * Lp + j) * square) * both);
            }
    }

    void code(int i) {
        static const float frequency[6] = {1.0f, 2.0f, 3.0f, 1.0f, 1.0f / 2, 1.0f / 3};
        for (int j = 0; j < Lp; j += W) {
            V exists = load(turned + j) * turned[i];
            V angles[2] = {dihedral(here(2, i), there(0, j), there(1, j), there(2, j)),
                           dihedral(here(0, i), here(1, i), here(2, i), there(0, j))};
            if (j <= i && i < j + W) angles[0][i - j] = angles[1][i - j] = 0.0f;
            for (int t = 0; t < 2; ++t) {
                float* to = x + size_t(C + t * TURNS) * Lp + j;
                store(to, angles[t] * exists);
                for (int f = 0; f < 6; ++f) {
                    V sine, cosine;
                    sine_cosine(angles[t] * frequency[f], sine, cosine);
                    store(to + (1 + f) * Lp, sine * exists);
                    store(to + (7 + f) * Lp, cosine * exists);
                }
            }
        }
    }

    void tables(int i) {
        for (int j = 0; j < L; ++j) {
            const float* by_type = weights.by_type + size_t(pair_type(i, j)) * C;
            const int o = offset(i, j);
            if (o < 0) {
                for (int c = 0; c < C; ++c) h1[c * Lp + j] = by_type[c];
            } else {
                const float* by_offset = weights.by_offset + size_t(o) * C;
                for (int c = 0; c < C; ++c) h1[c * Lp + j] = by_type[c] + by_offset[c];
            }
        }
    }

    void relu(float* rows, const float* bias) const {
        for (int c = 0; c < C; ++c)
            for (int j = 0; j < Lp; j += W)
                store(rows + c * Lp + j, larger(load(rows + c * Lp + j) + (bias ? bias[c] : 0.0f), V{}));
    }

    // leaves Z's row, before the mask, in z
    void forward(int i) {
        for (int j = 0; j < Lp; j += W) store(mask + j, load(placed + j) * placed[i]);
        nearness(i);
        code(i);
        tables(i);
        product<false>(w1, C, C, NEAR, near, Lp, e1, Lp, Lp);
        relu(e1, weights.b[0]);
        product<false>(w2, C, C, C, e1, Lp, x, Lp, Lp);
        relu(x, weights.b[1]);
        product<true>(w3, C, C, C + CODE, x, Lp, h1, Lp, Lp);
        relu(h1, nullptr);
        product<false>(w4, C, C, C, h1, Lp, h2, Lp, Lp);
        relu(h2, weights.b[2]);
        product<false>(w5, C, C, C, h2, Lp, z, Lp, Lp);
    }

    const EncoderNodes& nodes;
    const EncoderWeights& weights;
    int L, C, Lp;
    size_t first = 0;
    Buffer points, atoms, turned, placed, mask, squared, coefficient, near, e1, x, h1, h2, z, w1, w2, w3, w4, w5;
};

// Gradients over the pairs of one piece: W partial sums of each weight, the tables as they are.
struct Gradients {
    Gradients(int C)
        : sizes{C * NEAR, C * C, C * (C + CODE), C * C, C * C, C, C, C, C},
          w1(sizes[0] * W), w2(sizes[1] * W), w3(sizes[2] * W), w4(sizes[3] * W), w5(sizes[4] * W), b1(C * W), b2(C * W),
          b4(C * W), b5(C * W) {}
    int sizes[N_WEIGHTS];
    Buffer w1, w2, w3, w4, w5, b1, b2, b4, b5;
};

// through a layer: sums of its weight's (and bias's) gradient; grad_in = (w^T grad) where `in` is above zero
void layer_backward(const Encoder& e, const float* grad, const float* w, const float* in, int width, float* sum_w,
                    float* sum_b, float* grad_in, int grad_width) {
    const int C = e.C, Lp = e.Lp;
    outer(sum_w, C, width, grad, Lp, in, Lp, Lp);
    if (sum_b) add_rows(sum_b, grad, C, Lp);
    product<false>(w, width, grad_width, C, grad, Lp, grad_in, Lp, Lp);
    for (int c = 0; c < grad_width; ++c)
        for (int j = 0; j < Lp; j += W)
            store(grad_in + c * Lp + j, load(in + c * Lp + j) > 0.0f ? load(grad_in + c * Lp + j) : V{});
}

}  // namespace

extern "C" void copra_encoder_forward(float* z, const EncoderNodes* nodes, const EncoderWeights* weights, int B, int L,
                                      int C, int threads) {
    const Pieces pieces(B, L);
    run_pieces(pieces.count, threads, [&](int piece) {
        Encoder e(*nodes, *weights, L, C);
        e.read_sample(pieces.sample(piece));
        for (int i = pieces.first(piece); i < pieces.last(piece); ++i) {
            e.forward(i);
            for (int j = 0; j < e.Lp; j += W)
                for (int c = 0; c < C; ++c) {
                    V value = (load(e.z + c * e.Lp + j) + weights->b[3][c]) * load(e.mask + j);
                    store(e.z + c * e.Lp + j, value);
                }
            store_rows(z + (size_t(pieces.sample(piece)) * L + i) * C * L, e.z, C, L, e.Lp);
        }
    });
}

extern "C" void copra_encoder_backward(const EncoderGradients* out, const float* grad_z, const EncoderNodes* nodes,
                                       const EncoderWeights* weights, int B, int L, int C, int threads) {
    const Pieces pieces(B, L);
    const size_t pairs = TYPES * TYPES, table = pairs * (NEAR + C) + OFFSETS * C;
    Gradients layout(C);
    size_t dense = 0;
    for (int size : layout.sizes) dense += size;
    Buffer parts(pieces.count * (table + dense));
    run_pieces(pieces.count, threads, [&](int piece) {
        Encoder e(*nodes, *weights, L, C);
        Gradients sums(C);
        const int Lp = e.Lp;
        Buffer g(size_t(C) * Lp), g2(size_t(C) * Lp), g1(size_t(C) * Lp), near(NEAR * Lp);
        float *by_coefficient = parts + piece * (table + dense), *by_type = by_coefficient + pairs * NEAR;
        float* by_offset = by_type + pairs * C;
        e.read_sample(pieces.sample(piece));
        for (int i = pieces.first(piece); i < pieces.last(piece); ++i) {
            if (e.placed[i] == 0.0f) continue;  // this row of Z is zero whatever the weights are
            e.forward(i);
            load_rows(g, grad_z + (size_t(pieces.sample(piece)) * L + i) * C * L, C, L, Lp);
            for (int c = 0; c < C; ++c)
                for (int j = 0; j < Lp; j += W) store(g + c * Lp + j, load(g + c * Lp + j) * load(e.mask + j));
            layer_backward(e, g, weights->w[4], e.h2, C, sums.w5, sums.b5, g2, C);
            layer_backward(e, g2, weights->w[3], e.h1, C, sums.w4, sums.b4, g1, C);
            for (int j = 0; j < L; ++j) {
                float* to = by_type + size_t(e.pair_type(i, j)) * C;
                const int o = e.offset(i, j);
                for (int c = 0; c < C; ++c) to[c] += g1[c * Lp + j];
                for (int c = 0; o >= 0 && c < C; ++c) by_offset[o * C + c] += g1[c * Lp + j];
            }
            layer_backward(e, g1, weights->w[2], e.x, C + CODE, sums.w3, nullptr, g2, C);
            layer_backward(e, g2, weights->w[1], e.e1, C, sums.w2, sums.b2, g, C);
            layer_backward(e, g, weights->w[0], e.near, NEAR, sums.w1, sums.b1, near, NEAR);
            for (int j = 0; j < L; ++j) {
                float* to = by_coefficient + size_t(e.pair_type(i, j)) * NEAR;
                for (int a = 0; a < NEAR; ++a) to[a] -= near[a * Lp + j] * e.near[a * Lp + j] * e.squared[a * Lp + j];
            }
        }
        const float* sources[] = {sums.w1, sums.w2, sums.w3, sums.w4, sums.w5, sums.b1, sums.b2, sums.b4, sums.b5};
        float* to = by_coefficient + table;
        for (int i = 0; i < N_WEIGHTS; to += sums.sizes[i++]) lane_sums(to, sources[i], sums.sizes[i]);
    });
    float* targets[] = {out->coefficient, out->by_type, out->by_offset, out->w[0], out->w[1], out->w[2],
                        out->w[3],        out->w[4],    out->b[0],      out->b[1], out->b[2], out->b[3]};
    const int C_ = C, first_sizes[] = {int(pairs) * NEAR, int(pairs) * C_, OFFSETS * C_};
    for (int piece = 0; piece < pieces.count; ++piece) {
        const float* from = parts + piece * (table + dense);
        for (int t = 0; t < 3 + N_WEIGHTS; ++t) {
            const int n = t < 3 ? first_sizes[t] : layout.sizes[t - 3];
            for (int k = 0; k < n; ++k) targets[t][k] += from[k];
            from += n;
        }
    }
}
