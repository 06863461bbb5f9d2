// The update of the pair tensor from the sequence, with layer norm, and its gradient; one row i at a time.
//
//   p = w z_i + g_i u^T + bias      t = z_i + drop(p)      out = residual t + layer_norm(t)
//
// z, out [B][R][C][L]; w [C][C] or null; g [B][R][C][E], u [B][L][E]: the outer product with one side contracted.
#include "pair_simd.h"

struct UpdateShape {
    int B, R, L, C, E;
};

struct UpdateWeights {
    const float *w, *bias, *gamma, *beta;
    float epsilon, residual;
};

namespace {

// z of a row and u below it, one matrix; w and g_i beside each other, the matrix that multiplies it.
struct Row {
    Row(const UpdateShape& s, const UpdateWeights& weights)
        : s(s), weights(weights), Lp(padded(s.L)), K(s.C + s.E), x(size_t(K) * Lp), a(size_t(K) * s.C), t(size_t(s.C) * Lp),
          mean(Lp), scale(Lp) {
        if (weights.w) transpose(a, s.C, weights.w, s.C, s.C, s.C);
    }

    void read_sample(const float* u) { transpose(x + size_t(s.C) * Lp, Lp, u, s.E, s.L, s.E); }

    // t, and the mean and inverse deviation over its channels
    void update(const float* z_row, const float* g_row, const Dropout& dropout, uint32_t key) {
        load_rows(x, z_row, s.C, s.L, Lp);
        transpose(a + size_t(s.C) * s.C, s.C, g_row, s.E, s.C, s.E);
        const int skip = weights.w ? 0 : s.C;
        product<false>(a + size_t(skip) * s.C, s.C, s.C, K - skip, x + size_t(skip) * Lp, Lp, t, Lp, Lp);
        for (int j = 0; j < Lp; j += W) {
            V sum = V{}, squares = V{};
            for (int c = 0; c < s.C; ++c) {
                V p = load(t + c * Lp + j) + weights.bias[c];
                if (dropout.active()) p *= dropout.factor(key, uint32_t(c * Lp + j));
                p += load(x + c * Lp + j);
                store(t + c * Lp + j, p);
                sum += p;
            }
            V m = sum / float(s.C);
            for (int c = 0; c < s.C; ++c) {
                V d = load(t + c * Lp + j) - m;
                squares += d * d;
            }
            V deviation = squares / float(s.C) + weights.epsilon;
            for (int l = 0; l < W; ++l) deviation[l] = std::sqrt(deviation[l]);
            store(mean + j, m);
            store(scale + j, 1.0f / deviation);
        }
    }

    const UpdateShape& s;
    const UpdateWeights& weights;
    int Lp, K;
    Buffer x, a, t, mean, scale;
};

// Sums over the pairs of one piece, W partial sums each.
struct Sums {
    Sums(const UpdateShape& s) : w(size_t(s.C) * s.C * W), bias(s.C * W), gamma(s.C * W), beta(s.C * W) {}
    Buffer w, bias, gamma, beta;
};

static inline void add_to(float* sum, V v) { store(sum, load(sum) + v); }

// grad holds the gradient of out and gets that of t; grad_p gets that of p
void norm_backward(const Row& row, float* grad, float* grad_p, Sums& sums, const Dropout& dropout, uint32_t key) {
    const int C = row.s.C, Lp = row.Lp;
    for (int j = 0; j < Lp; j += W) {
        V m = load(row.mean + j), r = load(row.scale + j), first = V{}, second = V{};
        for (int c = 0; c < C; ++c) {
            V d = load(grad + c * Lp + j), normed = (load(row.t + c * Lp + j) - m) * r;
            add_to(sums.gamma + c * W, d * normed);
            add_to(sums.beta + c * W, d);
            first += d * row.weights.gamma[c];
            second += d * row.weights.gamma[c] * normed;
        }
        first /= float(C);
        second /= float(C);
        for (int c = 0; c < C; ++c) {
            V d = load(grad + c * Lp + j), normed = (load(row.t + c * Lp + j) - m) * r;
            V g = d * row.weights.residual + r * (d * row.weights.gamma[c] - first - normed * second);
            V p = dropout.active() ? g * dropout.factor(key, uint32_t(c * Lp + j)) : g;
            store(grad + c * Lp + j, g);
            store(grad_p + c * Lp + j, p);
            add_to(sums.bias + c * W, p);
        }
    }
}

}  // namespace

extern "C" void copra_update_forward(float* out, const float* z, const float* g, const float* u,
                                     const UpdateWeights* weights, const UpdateShape* shape, uint64_t seed,
                                     float probability, int threads) {
    const UpdateShape s = *shape;
    const size_t plane = size_t(s.C) * s.L;
    const Pieces pieces(s.B, s.R);
    const Dropout dropout(seed, probability);
    run_pieces(pieces.count, threads, [&](int piece) {
        const int b = pieces.sample(piece);
        Row row(s, *weights);
        row.read_sample(u + size_t(b) * s.L * s.E);
        for (int i = pieces.first(piece); i < pieces.last(piece); ++i) {
            const size_t at = size_t(b) * s.R + i;
            row.update(z + at * plane, g + at * s.C * s.E, dropout, dropout.row_key(at));
            for (int j = 0; j < row.Lp; j += W) {
                V m = load(row.mean + j), r = load(row.scale + j);
                for (int c = 0; c < s.C; ++c) {
                    V t = load(row.t + c * row.Lp + j);
                    store(row.t + c * row.Lp + j,
                          t * weights->residual + (t - m) * r * weights->gamma[c] + weights->beta[c]);
                }
            }
            store_rows(out + at * plane, row.t, s.C, s.L, row.Lp);
        }
    });
}

extern "C" void copra_update_backward(float* grad_z, float* grad_g, float* grad_u, float* grad_w, float* grad_bias,
                                      float* grad_gamma, float* grad_beta, const float* grad_out, const float* z,
                                      const float* g, const float* u, const UpdateWeights* weights,
                                      const UpdateShape* shape, uint64_t seed, float probability, int threads) {
    const UpdateShape s = *shape;
    const int Lp = padded(s.L), CC = s.C * s.C;
    const size_t plane = size_t(s.C) * s.L, columns = size_t(s.E) * Lp;
    const Pieces pieces(s.B, s.R);
    const Dropout dropout(seed, probability);
    const size_t own = CC + 3 * s.C;
    Buffer parts(pieces.count * own), part_u(pieces.count * columns);
    run_pieces(pieces.count, threads, [&](int piece) {
        const int b = pieces.sample(piece);
        Row row(s, *weights);
        row.read_sample(u + size_t(b) * s.L * s.E);
        Sums sums(s);
        Buffer grad(plane + s.C * W), grad_p(plane + s.C * W), sum_g(size_t(s.C) * s.E * W);
        for (int i = pieces.first(piece); i < pieces.last(piece); ++i) {
            const size_t at = size_t(b) * s.R + i;
            const uint32_t key = dropout.row_key(at);
            row.update(z + at * plane, g + at * s.C * s.E, dropout, key);
            load_rows(grad, grad_out + at * plane, s.C, s.L, Lp);
            norm_backward(row, grad, grad_p, sums, dropout, key);
            if (weights->w) {
                outer(sums.w, s.C, s.C, grad_p, Lp, row.x, Lp, Lp);
                product<true>(weights->w, s.C, s.C, s.C, grad_p, Lp, grad, Lp, Lp);
            }
            std::memset(sum_g, 0, size_t(s.C) * s.E * W * sizeof(float));
            outer(sum_g, s.C, s.E, grad_p, Lp, row.x + size_t(s.C) * Lp, Lp, Lp);
            lane_sums(grad_g + at * s.C * s.E, sum_g, s.C * s.E);
            product<true>(g + at * s.C * s.E, s.E, s.E, s.C, grad_p, Lp, part_u + piece * columns, Lp, Lp);
            store_rows(grad_z + at * plane, grad, s.C, s.L, Lp);
        }
        float* part = parts + piece * own;
        lane_sums(part, sums.w, CC);
        lane_sums(part + CC, sums.bias, s.C);
        lane_sums(part + CC + s.C, sums.gamma, s.C);
        lane_sums(part + CC + 2 * s.C, sums.beta, s.C);
    });
    for (int piece = 0; piece < pieces.count; ++piece) {
        const float* part = parts + piece * own;
        for (int i = 0; grad_w && i < CC; ++i) grad_w[i] += part[i];
        for (int c = 0; c < s.C; ++c) {
            grad_bias[c] += part[CC + c];
            grad_gamma[c] += part[CC + s.C + c];
            grad_beta[c] += part[CC + 2 * s.C + c];
        }
        for (int e = 0; e < s.E; ++e)
            for (int j = 0; j < s.L; ++j)
                grad_u[(size_t(pieces.sample(piece)) * s.L + j) * s.E + e] += part_u[piece * columns + size_t(e) * Lp + j];
    }
}
