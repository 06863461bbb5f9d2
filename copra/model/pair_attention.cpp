// Attention whose scores are biased by a projection of the pair tensor, and its gradient; four rows i at a time.
//
//   s_hij = q_ih . k_jh + sum_c w_hc z_icj      a = softmax_j(s)      y_ih = sum_j drop(a_hij) v_jh
//
// z [B][R][C][L], q, y [B][R][H][D] (q already divided by sqrt(D)), k, v [B][L][H][D], w [H][C];
// mask [B][R][L]: 0 attends, 1 left out before the softmax, 2 set to zero after it.
#include "pair_simd.h"

struct AttentionShape {
    int B, R, L, C, H, D;
};

namespace {

constexpr int ROWS = 4;

// Keys and values of one sample in the orders that the products want.
struct Packed {
    Packed(const AttentionShape& s, const float* k, const float* v, bool backward)
        : Lp(padded(s.L)), Dp(padded(s.D)), k_t(size_t(s.H) * s.D * Lp), v_n(size_t(s.H) * s.L * Dp),
          v_t(backward ? size_t(s.H) * s.D * Lp : 1), k_n(backward ? size_t(s.H) * s.L * Dp : 1) {
        for (int h = 0; h < s.H; ++h) {
            transpose(k_t + size_t(h) * s.D * Lp, Lp, k + h * s.D, s.H * s.D, s.L, s.D);
            if (backward) transpose(v_t + size_t(h) * s.D * Lp, Lp, v + h * s.D, s.H * s.D, s.L, s.D);
            for (int j = 0; j < s.L; ++j) {
                size_t from = (size_t(j) * s.H + h) * s.D, to = (size_t(h) * s.L + j) * Dp;
                std::memcpy(v_n + to, v + from, s.D * sizeof(float));
                if (backward) std::memcpy(k_n + to, k + from, s.D * sizeof(float));
            }
        }
    }
    int Lp, Dp;
    Buffer k_t, v_n, v_t, k_n;
};

// Four rows at work: their z, scores or probabilities [H][4][Lp], masks.
struct Rows {
    Rows(const AttentionShape& s)
        : s(s), Lp(padded(s.L)), z(size_t(ROWS) * s.C * Lp), p(size_t(s.H) * ROWS * Lp), heads(size_t(s.H) * s.D * ROWS),
          open(ROWS * Lp), kept(ROWS * Lp) {}

    // [n][H][D] of the rows -> [H][D][4]
    void pack_heads(const float* x, int n) {
        for (int r = 0; r < ROWS; ++r)
            for (int i = 0; i < s.H * s.D; ++i) heads[i * ROWS + r] = r < n ? x[size_t(r) * s.H * s.D + i] : 0.0f;
    }

    void read_masks(const uint8_t* mask, int n) {
        for (int r = 0; r < n; ++r)
            for (int j = 0; j < s.L; ++j) {
                uint8_t code = mask[size_t(r) * s.L + j];
                open[r * Lp + j] = code == 1 ? 0.0f : 1.0f;
                kept[r * Lp + j] = code == 0 ? 1.0f : 0.0f;
            }
    }

    // p = softmax(q k + w z) of n rows; w_t [C][H]
    void probabilities(const float* z_rows, const float* q, const uint8_t* mask, const float* w_t, const Packed& sample, int n) {
        for (int r = 0; r < n; ++r) {
            load_rows(z + size_t(r) * s.C * Lp, z_rows + size_t(r) * s.C * s.L, s.C, s.L, Lp);
            product<false>(w_t, s.H, s.H, s.C, z + size_t(r) * s.C * Lp, Lp, p + r * Lp, ROWS * Lp, Lp);
        }
        pack_heads(q, n);
        read_masks(mask, n);
        for (int h = 0; h < s.H; ++h) {
            float* scores = p + size_t(h) * ROWS * Lp;
            product<true>(heads + h * s.D * ROWS, ROWS, ROWS, s.D, sample.k_t + size_t(h) * s.D * Lp, Lp, scores, Lp, Lp);
            for (int r = 0; r < n; ++r) softmax(scores + r * Lp, open + r * Lp);
        }
    }

    void softmax(float* row, const float* allowed) const {
        V top = all(-3e38f);
        for (int j = 0; j < Lp; j += W) top = larger(top, load(allowed + j) > 0.5f ? load(row + j) : all(-3e38f));
        V m = all(lane_max(top)), sum = V{};
        for (int j = 0; j < Lp; j += W) {
            V e = load(allowed + j) > 0.5f ? exponential(load(row + j) - m) : V{};
            store(row + j, e);
            sum += e;
        }
        float total = lane_sum(sum);
        V inverse = all(total > 0.0f ? 1.0f / total : 0.0f);
        for (int j = 0; j < Lp; j += W) store(row + j, load(row + j) * inverse);
    }

    // what multiplies the probabilities of row r, head h from j on: dropout and the mask after the softmax
    V factor(const Dropout& dropout, uint32_t key, int h, int r, int j) const {
        V f = load(kept + r * Lp + j);
        return dropout.active() ? f * dropout.factor(key, uint32_t(h * Lp + j)) : f;
    }

    const AttentionShape& s;
    int Lp;
    Buffer z, p, heads, open, kept;
};

// out[r][d] = sum_j p[r][j] x[j][d] for four rows, x [L][Dp]
void weighted_sums(float* out, int out_step, const float* p, int Lp, const float* x, int L, int Dp, int D, int n) {
    for (int d = 0; d < Dp; d += W) {
        V sum[ROWS][2] = {};
        for (int j = 0; j < L; ++j) {
            V value = load(x + size_t(j) * Dp + d);
            for (int r = 0; r < ROWS; ++r) sum[r][j & 1] += p[r * Lp + j] * value;
        }
        for (int r = 0; r < n; ++r) {
            V total = sum[r][0] + sum[r][1];
            std::memcpy(out + size_t(r) * out_step + d, &total, std::min(W, D - d) * sizeof(float));
        }
    }
}

// x[j][d] += sum_r p[r][j] g[d][r] for four rows
void spread(float* x, const float* p, int Lp, const float* g, int L, int Dp, int D) {
    for (int d = 0; d < Dp; d += W) {
        V row[ROWS] = {};
        for (int l = 0; l < std::min(W, D - d); ++l)
            for (int r = 0; r < ROWS; ++r) row[r][l] = g[(d + l) * ROWS + r];
        for (int j = 0; j < L; ++j) {
            V value = load(x + size_t(j) * Dp + d);
            for (int r = 0; r < ROWS; ++r) value += p[r * Lp + j] * row[r];
            store(x + size_t(j) * Dp + d, value);
        }
    }
}

// probabilities in p and their gradients in g -> dropped probabilities in p, gradients of the scores in g
void softmax_backward(const Rows& rows, float* p, float* g, const Dropout& dropout, uint32_t key, int h, int r) {
    V dot = V{};
    for (int j = 0; j < rows.Lp; j += W) {
        V f = rows.factor(dropout, key, h, r, j), a = load(p + j), d = load(g + j) * f;
        dot += a * d;
        store(g + j, d);
    }
    V sum = all(lane_sum(dot));
    for (int j = 0; j < rows.Lp; j += W) {
        V a = load(p + j);
        store(g + j, a * (load(g + j) - sum));
        store(p + j, a * rows.factor(dropout, key, h, r, j));
    }
}

}  // namespace

extern "C" void copra_attention_forward(float* y, const float* z, const float* q, const float* k, const float* v,
                                        const float* w, const uint8_t* mask, const AttentionShape* shape,
                                        uint64_t seed, float probability, int threads) {
    const AttentionShape s = *shape;
    const int Lp = padded(s.L), HD = s.H * s.D;
    const Pieces pieces(s.B, s.R);
    const Dropout dropout(seed, probability);
    Buffer w_t(size_t(s.C) * s.H);
    transpose(w_t, s.H, w, s.C, s.H, s.C);
    run_pieces(pieces.count, threads, [&](int piece) {
        const int b = pieces.sample(piece);
        Packed sample(s, k + size_t(b) * s.L * HD, v + size_t(b) * s.L * HD, false);
        Rows rows(s);
        for (int i = pieces.first(piece); i < pieces.last(piece); i += ROWS) {
            const int n = std::min(ROWS, pieces.last(piece) - i);
            const size_t row = size_t(b) * s.R + i;
            rows.probabilities(z + row * s.C * s.L, q + row * HD, mask + row * s.L, w_t, sample, n);
            for (int h = 0; h < s.H; ++h) {
                float* p = rows.p + size_t(h) * ROWS * Lp;
                for (int r = 0; r < n; ++r) {
                    const uint32_t key = dropout.row_key(row + r);
                    for (int j = 0; j < Lp; j += W)
                        store(p + r * Lp + j, load(p + r * Lp + j) * rows.factor(dropout, key, h, r, j));
                }
                weighted_sums(y + row * HD + h * s.D, HD, p, Lp, sample.v_n + size_t(h) * s.L * sample.Dp, s.L,
                              sample.Dp, s.D, n);
            }
        }
    });
}

// grad_z = (base, where a row has one) + what came through the bias; base [B][base_rows][C][L] may be null.
extern "C" void copra_attention_backward(float* grad_z, float* grad_q, float* grad_k, float* grad_v, float* grad_w,
                                         const float* base, int base_rows, const float* grad_y, const float* z,
                                         const float* q, const float* k, const float* v, const float* w,
                                         const uint8_t* mask, const AttentionShape* shape, uint64_t seed,
                                         float probability, int threads) {
    const AttentionShape s = *shape;
    const int Lp = padded(s.L), Dp = padded(s.D), HD = s.H * s.D;
    const size_t plane = size_t(s.C) * s.L, keys = size_t(s.H) * s.L * Dp;
    const Pieces pieces(s.B, s.R);
    const Dropout dropout(seed, probability);
    Buffer w_t(size_t(s.C) * s.H), part_k(pieces.count * keys), part_v(pieces.count * keys),
        part_w(size_t(pieces.count) * s.H * s.C);
    transpose(w_t, s.H, w, s.C, s.H, s.C);
    run_pieces(pieces.count, threads, [&](int piece) {
        const int b = pieces.sample(piece);
        Packed sample(s, k + size_t(b) * s.L * HD, v + size_t(b) * s.L * HD, true);
        Rows rows(s);
        Buffer g(size_t(s.H) * ROWS * Lp), out(size_t(s.C) * Lp), sum_w(size_t(s.H) * s.C * W), q_t(size_t(HD) * ROWS);
        float *own_k = part_k + piece * keys, *own_v = part_v + piece * keys;
        for (int i = pieces.first(piece); i < pieces.last(piece); i += ROWS) {
            const int n = std::min(ROWS, pieces.last(piece) - i);
            const size_t row = size_t(b) * s.R + i;
            rows.probabilities(z + row * plane, q + row * HD, mask + row * s.L, w_t, sample, n);
            std::memcpy(q_t, rows.heads, size_t(HD) * ROWS * sizeof(float));
            rows.pack_heads(grad_y + row * HD, n);
            for (int h = 0; h < s.H; ++h) {
                float *p = rows.p + size_t(h) * ROWS * Lp, *d = g + size_t(h) * ROWS * Lp;
                const float* gy = rows.heads + h * s.D * ROWS;
                product<false>(gy, ROWS, ROWS, s.D, sample.v_t + size_t(h) * s.D * Lp, Lp, d, Lp, Lp);
                for (int r = 0; r < n; ++r)
                    softmax_backward(rows, p + r * Lp, d + r * Lp, dropout, dropout.row_key(row + r), h, r);
                for (int r = n; r < ROWS; ++r) {
                    std::memset(p + r * Lp, 0, Lp * sizeof(float));
                    std::memset(d + r * Lp, 0, Lp * sizeof(float));
                }
                spread(own_v + size_t(h) * s.L * Dp, p, Lp, gy, s.L, Dp, s.D);
                spread(own_k + size_t(h) * s.L * Dp, d, Lp, q_t + h * s.D * ROWS, s.L, Dp, s.D);
                weighted_sums(grad_q + row * HD + h * s.D, HD, d, Lp, sample.k_n + size_t(h) * s.L * Dp, s.L, Dp, s.D, n);
            }
            for (int r = 0; r < n; ++r) {
                outer(sum_w, s.H, s.C, g + r * Lp, ROWS * Lp, rows.z + r * s.C * Lp, Lp, Lp);
                const bool has_base = base && i + r < base_rows;
                if (has_base) load_rows(out, base + (size_t(b) * base_rows + i + r) * plane, s.C, s.L, Lp);
                auto multiply = has_base ? product<true> : product<false>;
                multiply(w, s.C, s.C, s.H, g + r * Lp, ROWS * Lp, out, Lp, Lp);
                store_rows(grad_z + (row + r) * plane, out, s.C, s.L, Lp);
            }
        }
        lane_sums(part_w + size_t(piece) * s.H * s.C, sum_w, s.H * s.C);
    });
    for (int piece = 0; piece < pieces.count; ++piece) {
        for (int i = 0; i < s.H * s.C; ++i) grad_w[i] += part_w[size_t(piece) * s.H * s.C + i];
        for (int h = 0; h < s.H; ++h)
            for (int j = 0; j < s.L; ++j)
                for (int d = 0; d < s.D; ++d) {
                    const size_t to = ((size_t(pieces.sample(piece)) * s.L + j) * s.H + h) * s.D + d;
                    const size_t from = piece * keys + (size_t(h) * s.L + j) * Dp + d;
                    grad_k[to] += part_k[from];
                    grad_v[to] += part_v[from];
                }
    }
}
