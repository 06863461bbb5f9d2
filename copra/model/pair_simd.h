// What the pair kernels share: vectors along j, small products over one row of the pair tensor, dropout, threads.
//
// A row i of the pair tensor is a matrix [channels][j]; a buffer of it is padded with zeros to whole vectors.
// GCC's and Clang's vector extensions are used and no intrinsics, so that any processor can compile it.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#if defined(__AVX512F__)
constexpr int W = 16;  // floats in a vector
constexpr int TALL = 10;  // rows of the register tile of a product, two vectors wide
#else
constexpr int W = 8;
constexpr int TALL = 5;
#endif

typedef float V __attribute__((vector_size(W * 4)));
typedef float Loose __attribute__((vector_size(W * 4), aligned(4), may_alias));
typedef int32_t VI __attribute__((vector_size(W * 4)));
typedef uint32_t VQ __attribute__((vector_size(W * 4)));

static inline V load(const float* p) { return *reinterpret_cast<const Loose*>(p); }
static inline void store(float* p, V v) { *reinterpret_cast<Loose*>(p) = v; }
static inline V all(float x) { return V{} + x; }
static inline V larger(V a, V b) { return a > b ? a : b; }
static inline int padded(int n) { return (n + W - 1) / W * W; }

// Zeroed floats on a cache line's boundary.
struct Buffer {
    explicit Buffer(size_t n) {
        size_t bytes = (n * sizeof(float) + 63) / 64 * 64;
        data = static_cast<float*>(std::aligned_alloc(64, bytes));
        std::memset(data, 0, bytes);
    }
    ~Buffer() { std::free(data); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    operator float*() const { return data; }
    float* data;
};

static inline float lane_sum(V v) {
    float t[W];
    store(t, v);
    for (int half = W / 2; half; half /= 2)
        for (int l = 0; l < half; ++l) t[l] += t[l + half];
    return t[0];
}

static inline float lane_max(V v) {
    float m = v[0];
    for (int l = 1; l < W; ++l) m = std::max(m, v[l]);
    return m;
}

// e^x for x <= 88; at most 1e-7 relative error. Cody-Waite reduction and a polynomial of degree 6.
static inline V exponential(V x) {
    x = larger(x, all(-87.0f));
    V n = (x * 1.44269504f + 12582912.0f) - 12582912.0f;  // rounds to the nearest integer
    V r = x - n * 0.693359375f + n * 2.12194440e-4f;
    V p = all(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    VI power = (__builtin_convertvector(n, VI) + 127) << 23;
    return p * (V)power;  // the same bits
}

// out[m][j] (+)= sum_k a[k * a_step + m] x[k][j], one register tile. What is there is added last, so that what a row adds
// is rounded at its own size: sums over many rows are sums of blocks.
template <int MB, int NV, bool ADD>
static inline void product_tile(const float* a, int a_step, int K, const float* x, int x_step, float* out, int out_step) {
    V sum[MB][NV];
#pragma GCC unroll 16
    for (int m = 0; m < MB; ++m)
#pragma GCC unroll 16
        for (int n = 0; n < NV; ++n) sum[m][n] = V{};
    for (int k = 0; k < K; ++k) {
        V column[NV];
#pragma GCC unroll 16
        for (int n = 0; n < NV; ++n) column[n] = load(x + k * x_step + n * W);
#pragma GCC unroll 16
        for (int m = 0; m < MB; ++m) {
            V factor = all(a[k * a_step + m]);
#pragma GCC unroll 16
            for (int n = 0; n < NV; ++n) sum[m][n] += factor * column[n];
        }
    }
#pragma GCC unroll 16
    for (int m = 0; m < MB; ++m)
#pragma GCC unroll 16
        for (int n = 0; n < NV; ++n) {
            float* to = out + m * out_step + n * W;
            store(to, ADD ? load(to) + sum[m][n] : sum[m][n]);
        }
}

template <int MB, int NV, bool ADD>
static void product_panel(const float* a, int a_step, int K, const float* x, int x_step, float* out, int out_step, int n) {
    int j = 0;
    for (; j + NV * W <= n; j += NV * W) product_tile<MB, NV, ADD>(a, a_step, K, x + j, x_step, out + j, out_step);
    for (; j < n; j += W) product_tile<MB, 1, ADD>(a, a_step, K, x + j, x_step, out + j, out_step);
}

// out [M][n] (+)= a^T x with a [K][a_step] (its first M columns), x [K][n]; n is a multiple of W
template <bool ADD>
static void product(const float* a, int a_step, int M, int K, const float* x, int x_step, float* out, int out_step, int n) {
    int m = 0;
    for (; m + TALL <= M; m += TALL)
        product_panel<TALL, 2, ADD>(a + m, a_step, K, x, x_step, out + m * out_step, out_step, n);
    for (; m + 4 <= M; m += 4)
        product_panel<4, W / 4, ADD>(a + m, a_step, K, x, x_step, out + m * out_step, out_step, n);
    for (; m < M; ++m) product_panel<1, W / 4, ADD>(a + m, a_step, K, x, x_step, out + m * out_step, out_step, n);
}

template <int MB, int NB>
static inline void outer_tile(float* sum, int N, const float* a, int a_step, const float* b, int b_step, int n) {
    V s[MB][NB];
#pragma GCC unroll 16
    for (int m = 0; m < MB; ++m)
#pragma GCC unroll 16
        for (int k = 0; k < NB; ++k) s[m][k] = V{};
    for (int j = 0; j < n; j += W) {
        V right[NB];
#pragma GCC unroll 16
        for (int k = 0; k < NB; ++k) right[k] = load(b + k * b_step + j);
#pragma GCC unroll 16
        for (int m = 0; m < MB; ++m) {
            V left = load(a + m * a_step + j);
#pragma GCC unroll 16
            for (int k = 0; k < NB; ++k) s[m][k] += left * right[k];
        }
    }
#pragma GCC unroll 16
    for (int m = 0; m < MB; ++m)
#pragma GCC unroll 16
        for (int k = 0; k < NB; ++k) {
            float* to = sum + (m * N + k) * W;
            store(to, load(to) + s[m][k]);
        }
}

template <int MB>
static void outer_panel(float* sum, int N, const float* a, int a_step, const float* b, int b_step, int n) {
    int k = 0;
    for (; k + 5 <= N; k += 5) outer_tile<MB, 5>(sum + k * W, N, a, a_step, b + k * b_step, b_step, n);
    for (; k < N; ++k) outer_tile<MB, 1>(sum + k * W, N, a, a_step, b + k * b_step, b_step, n);
}

// sum[m][k] += a[m] . b[k] over j, left as W partial sums each: sum [M][N][W], a [M][n], b [N][n]
static void outer(float* sum, int M, int N, const float* a, int a_step, const float* b, int b_step, int n) {
    int m = 0;
    for (; m + TALL / 5 * 2 <= M; m += TALL / 5 * 2)
        outer_panel<TALL / 5 * 2>(sum + m * N * W, N, a + m * a_step, a_step, b, b_step, n);
    for (; m < M; ++m) outer_panel<1>(sum + m * N * W, N, a + m * a_step, a_step, b, b_step, n);
}

// sum[c] += rows[c] over j, left as W partial sums each
static void add_rows(float* sum, const float* rows, int C, int Lp) {
    for (int c = 0; c < C; ++c) {
        V total = V{};
        for (int j = 0; j < Lp; j += W) total += load(rows + c * Lp + j);
        store(sum + c * W, load(sum + c * W) + total);
    }
}

static inline void lane_sums(float* out, const float* sum, int n) {
    for (int i = 0; i < n; ++i) out[i] += lane_sum(load(sum + i * W));
}

// One row of the pair tensor [C][L] into a padded buffer and back.
static void load_rows(float* buffer, const float* from, int C, int L, int Lp) {
    for (int c = 0; c < C; ++c) std::memcpy(buffer + c * Lp, from + size_t(c) * L, L * sizeof(float));
}
static void store_rows(float* to, const float* buffer, int C, int L, int Lp) {
    for (int c = 0; c < C; ++c) std::memcpy(to + size_t(c) * L, buffer + c * Lp, L * sizeof(float));
}

// in [n][m] -> out [m][step], step >= n
static void transpose(float* out, int step, const float* in, int in_step, int n, int m) {
    for (int i = 0; i < n; ++i)
        for (int j = 0; j < m; ++j) out[j * step + i] = in[size_t(i) * in_step + j];
}

// Dropout: the factor of an element follows from (seed, row, position in the row) alone, so that the backward pass
// draws it again instead of keeping it. A 32-bit integer hash (two multiplications) of the position, keyed by the row.
struct Dropout {
    Dropout(uint64_t seed, float probability)
        : seed(seed), limit(uint32_t(probability * 4294967296.0)), kept(1.0f / (1.0f - probability)) {}
    bool active() const { return limit != 0; }
    uint32_t row_key(uint64_t row) const {
        uint64_t x = seed + (row + 1) * 0x9E3779B97F4A7C15ull;
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
        return uint32_t(x ^ (x >> 31));
    }
    // 0 or 1 / (1 - probability)
    V factor(uint32_t key, uint32_t position) const {
        VQ x = VQ{};
        for (int l = 0; l < W; ++l) x[l] = l;
        x = ((x + position) * 0x9E3779B9u) ^ key;
        x = (x ^ (x >> 16)) * 0x7FEB352Du;
        x = (x ^ (x >> 15)) * 0x846CA68Bu;
        x = x ^ (x >> 16);
        return x >= VQ{} + limit ? all(kept) : V{};
    }
    uint64_t seed;
    uint32_t limit;
    float kept;
};

// A batch cut into pieces of rows; the cut depends on the shape only, so that sums do not depend on the threads.
struct Pieces {
    Pieces(int B, int R) : R(R) {
        int per_sample = std::max(1, std::min(32 / B, (R + 3) / 4));
        rows = ((R + per_sample - 1) / per_sample + 3) / 4 * 4;
        per = (R + rows - 1) / rows;
        count = B * per;
    }
    int sample(int piece) const { return piece / per; }
    int first(int piece) const { return piece % per * rows; }
    int last(int piece) const { return std::min(R, first(piece) + rows); }
    int R, rows, per, count;
};

template <class Work>
static void run_pieces(int count, int threads, Work work) {
    std::atomic<int> next{0};
    auto run = [&] {
        for (int i; (i = next++) < count;) work(i);
    };
    std::vector<std::thread> pool;
    for (int t = 1; t < std::min(threads, count); ++t) pool.emplace_back(run);
    run();
    for (auto& thread : pool) thread.join();
}
