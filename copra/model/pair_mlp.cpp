// Feed-forward of the pair tensor, out = x + w2 relu(w1 x + b1) + b2, and its gradient; one row i at a time.
//
// x, out [rows][C][L]; w1 [F][C], w2 [C][F].
#include "pair_simd.h"

namespace {

struct Mlp {
    const float *w1, *b1, *w2, *b2;
};

struct MlpRow {
    MlpRow(const Mlp& m, int L, int C, int F)
        : m(m), L(L), C(C), F(F), Lp(padded(L)), w1_t(size_t(C) * F), w2_t(size_t(C) * F), x(size_t(C) * Lp),
          h(size_t(F) * Lp) {
        transpose(w1_t, F, m.w1, C, F, C);
        transpose(w2_t, C, m.w2, F, C, F);
    }
    void hidden(const float* row) {
        load_rows(x, row, C, L, Lp);
        product<false>(w1_t, F, F, C, x, Lp, h, Lp, Lp);
        for (int f = 0; f < F; ++f)
            for (int j = 0; j < Lp; j += W) store(h + f * Lp + j, larger(load(h + f * Lp + j) + m.b1[f], V{}));
    }
    const Mlp& m;
    int L, C, F, Lp;
    Buffer w1_t, w2_t, x, h;
};

}  // namespace

extern "C" void copra_mlp_forward(float* out, const float* x, const Mlp* mlp, int B, int R, int L, int C, int F, int threads) {
    const Pieces pieces(B, R);
    run_pieces(pieces.count, threads, [&](int piece) {
        MlpRow row(*mlp, L, C, F);
        for (int i = pieces.first(piece); i < pieces.last(piece); ++i) {
            const size_t at = (size_t(pieces.sample(piece)) * R + i) * C * L;
            row.hidden(x + at);
            for (int c = 0; c < C; ++c)
                for (int j = 0; j < row.Lp; j += W)
                    store(row.x + c * row.Lp + j, load(row.x + c * row.Lp + j) + mlp->b2[c]);
            product<true>(row.w2_t, C, C, F, row.h, row.Lp, row.x, row.Lp, row.Lp);
            store_rows(out + at, row.x, C, L, row.Lp);
        }
    });
}

extern "C" void copra_mlp_backward(float* grad_x, float* grad_w1, float* grad_b1, float* grad_w2, float* grad_b2,
                                   const float* grad_out, const float* x, const Mlp* mlp, int B, int R, int L, int C, int F,
                                   int threads) {
    const Pieces pieces(B, R);
    const size_t own = size_t(2) * C * F + C + F;
    Buffer parts(pieces.count * own);
    run_pieces(pieces.count, threads, [&](int piece) {
        MlpRow row(*mlp, L, C, F);
        const int Lp = row.Lp;
        Buffer sum_w1(size_t(F) * C * W), sum_w2(size_t(F) * C * W), sum_b1(F * W), sum_b2(C * W);
        Buffer g(size_t(C) * Lp), g_hidden(size_t(F) * Lp);
        for (int i = pieces.first(piece); i < pieces.last(piece); ++i) {
            const size_t at = (size_t(pieces.sample(piece)) * R + i) * C * L;
            row.hidden(x + at);
            load_rows(g, grad_out + at, C, L, Lp);
            outer(sum_w2, C, F, g, Lp, row.h, Lp, Lp);
            add_rows(sum_b2, g, C, Lp);
            product<false>(mlp->w2, F, F, C, g, Lp, g_hidden, Lp, Lp);
            for (int k = 0; k < F * Lp; k += W) store(g_hidden + k, load(row.h + k) > 0.0f ? load(g_hidden + k) : V{});
            outer(sum_w1, F, C, g_hidden, Lp, row.x, Lp, Lp);
            add_rows(sum_b1, g_hidden, F, Lp);
            product<true>(mlp->w1, C, C, F, g_hidden, Lp, g, Lp, Lp);
            store_rows(grad_x + at, g, C, L, Lp);
        }
        float* part = parts + piece * own;
        lane_sums(part, sum_w1, F * C);
        lane_sums(part + F * C, sum_b1, F);
        lane_sums(part + F * C + F, sum_w2, F * C);
        lane_sums(part + 2 * F * C + F, sum_b2, C);
    });
    for (int piece = 0; piece < pieces.count; ++piece) {
        const float* part = parts + piece * own;
        for (int k = 0; k < F * C; ++k) {
            grad_w1[k] += part[k];
            grad_w2[k] += part[F * C + F + k];
        }
        for (int f = 0; f < F; ++f) grad_b1[f] += part[F * C + f];
        for (int c = 0; c < C; ++c) grad_b2[c] += part[2 * F * C + F + c];
    }
}
