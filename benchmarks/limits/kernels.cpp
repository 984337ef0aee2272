// The programs by hand: what the machine can do. Two threads; vectors of 512 bits with AVX-512, of
// 256 bits otherwise. Inputs are contiguous arrays in C order, outputs are written into arrays
// allocated beforehand; both begin at multiples of 64 bytes.
//
// A program does the work that its text asks for (all 20 steps, all ordered pairs, every
// exponential), fused, in blocks and in registers; derivatives are taken in closed form.

#include <omp.h>

#include <algorithm>
#include <cfloat>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

using Ins = const void* const*;
using Outs = void* const*;

#define API extern "C" void
#define IN(T, k) ((const T* __restrict)__builtin_assume_aligned(in[k], 64))
#define OUT(T, k) ((T* __restrict)__builtin_assume_aligned(out[k], 64))
#define FLAT inline __attribute__((always_inline))
#define PRAGMA(x) _Pragma(#x)
#define UNROLL(n) PRAGMA(GCC unroll n)

#if defined(__AVX512F__)
constexpr int W = 16;  // lanes of a vector of float
#else
constexpr int W = 8;
#endif
typedef float V __attribute__((vector_size(4 * W)));
typedef float VU __attribute__((vector_size(4 * W), aligned(4), may_alias));
typedef int32_t I __attribute__((vector_size(4 * W)));
typedef float V4 __attribute__((vector_size(16)));

FLAT V load(const float* p) { return *(const VU*)p; }
FLAT void store(float* p, V x) { *(VU*)p = x; }
FLAT V all(float x) { return V{} + x; }
FLAT V max(V a, V b) { return a > b ? a : b; }

FLAT float sum(V x) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_ps(x);
#else
  V4 s = __builtin_shufflevector(x, x, 0, 1, 2, 3) + __builtin_shufflevector(x, x, 4, 5, 6, 7);
  s += __builtin_shufflevector(s, s, 2, 3, 0, 1);
  return s[0] + s[1];
#endif
}

template <int BIT, std::size_t... L>
FLAT void exchange(V& a, V& b, std::index_sequence<L...>) {
  V t = __builtin_shufflevector(a, b, (L & BIT ? W + (L ^ BIT) : L)...);
  b = __builtin_shufflevector(a, b, (L & BIT ? W + L : (L ^ BIT))...);
  a = t;
}

template <int BIT>
FLAT void exchange_all(V* r) {
  UNROLL(16)
  for (int i = 0; i < W; i++)
    if (!(i & BIT)) exchange<BIT>(r[i], r[i | BIT], std::make_index_sequence<W>());
}

// Transposes W vectors: rows and lanes trade one bit of their numbers at a time.
FLAT void transpose(V* r) {
  exchange_all<1>(r);
  exchange_all<2>(r);
  exchange_all<4>(r);
#if defined(__AVX512F__)
  exchange_all<8>(r);
#endif
}

// Microseconds of a call: the best of many in about so many seconds.
extern "C" double bench(void (*f)(Ins, Outs), Ins in, Outs out, double seconds) {
  auto now = [] {
    auto t = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration<double>(t).count();
  };
  f(in, out);
  double t = now();
  f(in, out);
  double d = now() - t, best = d, end = now() + seconds;
  long n = std::max(1L, (long)(2e-4 / std::max(d, 1e-8)));
  while (d <= seconds) {
    t = now();
    for (long i = 0; i < n; i++) f(in, out);
    double t2 = now();
    best = std::min(best, (t2 - t) / n);
    if (t2 > end) break;
  }
  return best * 1e6;
}

// e^x and log x in float, for loops that are vectorised (errors of a few ulp).
FLAT float fexp(float x) {
  x = std::min(std::max(x, -87.3f), 88.f);
  float n = __builtin_rintf(x * 1.44269504f), r = x - n * 0.693359375f + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.f;
  int32_t b = ((int32_t)n + 127) << 23;
  float s;
  memcpy(&s, &b, 4);
  return p * s;
}

FLAT float flog(float x) {
  int32_t b;
  memcpy(&b, &x, 4);
  int32_t e = (b - 0x3f3504f3) >> 23;
  b -= e << 23;
  float m;
  memcpy(&m, &b, 4);
  m -= 1.f;
  float z = m * m, p = 7.0376836292e-2f;
  p = p * m - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  return m + (p * m * z - .5f * z) + e * 0.693147181f;
}

// e^x of a vector whose elements are not above zero.
FLAT V vexp(V x) {
  x = max(x, all(-87.3f));
  I n = __builtin_convertvector(x * 1.44269504f - .5f, I);
  V k = __builtin_convertvector(n, V), r = x - k * 0.693359375f + k * 2.12194440e-4f;
  V p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.f;
  return p * (V)((n + 127) << 23);
}

API mandelbrot(Ins in, Outs out) {
  const int N = 1500000;
  const float* c = IN(float, 0);
  int32_t* fr = OUT(int32_t, 0);
#if defined(__AVX512F__)
  const __m512i re = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i im = re + 0x100000001;
#pragma omp parallel for schedule(static)
  for (int i = 0; i < N; i += 32) {  // two vectors at a time hide the latency
    V cr[2], ci[2], zr[2], zi[2];
    __m512i f[2];
    UNROLL(2)
    for (int u = 0; u < 2; u++) {
      V a = load(c + 2 * i + 32 * u), b = load(c + 2 * i + 32 * u + 16);
      zr[u] = cr[u] = _mm512_permutex2var_ps(a, re, b);
      zi[u] = ci[u] = _mm512_permutex2var_ps(a, im, b);
      f[u] = _mm512_set1_epi32(20);
    }
    UNROLL(20)
    for (int k = 0; k < 20; k++) {
      UNROLL(2)
      for (int u = 0; u < 2; u++) {
        V t = zr[u] * zr[u] - zi[u] * zi[u] + cr[u];
        zi[u] = (zr[u] + zr[u]) * zi[u] + ci[u];
        zr[u] = t;
        V q = zr[u] * zr[u] + zi[u] * zi[u];
        __mmask16 far = _mm512_cmp_ps_mask(q, all(4), _CMP_GT_OQ);
        far = _mm512_mask_cmpeq_epi32_mask(far, f[u], _mm512_set1_epi32(20));
        f[u] = _mm512_mask_mov_epi32(f[u], far, _mm512_set1_epi32(k));
      }
    }
    _mm512_store_si512(fr + i, f[0]);
    if (i + 16 < N) _mm512_store_si512(fr + i + 16, f[1]);
  }
#else
#pragma omp parallel for schedule(static)
  for (int i = 0; i < N; i += 2 * W) {
    V cr[2], ci[2], zr[2], zi[2];
    I near[2], f[2];
    UNROLL(2)
    for (int u = 0; u < 2; u++) {
      V a = load(c + 2 * (i + W * u)), b = load(c + 2 * (i + W * u) + W);
      zr[u] = cr[u] = __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
      zi[u] = ci[u] = __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15);
      near[u] = I{} - 1;
      f[u] = I{};
    }
    UNROLL(20)
    for (int k = 0; k < 20; k++) {
      UNROLL(2)
      for (int u = 0; u < 2; u++) {  // counts the steps before the first one that is far
        V t = zr[u] * zr[u] - zi[u] * zi[u] + cr[u];
        zi[u] = (zr[u] + zr[u]) * zi[u] + ci[u];
        zr[u] = t;
        near[u] &= zr[u] * zr[u] + zi[u] * zi[u] <= all(4);
        f[u] -= near[u];
      }
    }
    UNROLL(2)
    for (int u = 0; u < 2; u++) *(I*)(fr + i + W * u) = f[u];
  }
#endif
}

API black_scholes(Ins in, Outs out) {
  const float *S = IN(float, 0), *K = IN(float, 1), *T = IN(float, 2), *R = IN(float, 3);
  const float* V = IN(float, 4);
  float* __restrict o0 = OUT(float, 0), * __restrict o1 = OUT(float, 1);
  float* __restrict o2 = OUT(float, 2), * __restrict o3 = OUT(float, 3);
  float* __restrict o4 = OUT(float, 4), * __restrict o5 = OUT(float, 5);
#pragma omp parallel for simd schedule(static)
  for (int i = 0; i < 1000000; i++) {
    float s = S[i], k = K[i], t = T[i], r = R[i], v = V[i], q = __builtin_sqrtf(t), vq = v * q;
    float d1 = (flog(s / k) + (r + .5f * v * v) * t) / vq, d2 = d1 - vq;
    auto cdf = [](float x, float e) {  // Abramowitz and Stegun 7.1.26; e = exp(-x^2/2)
      float u = 1.f / (1.f + .3275911f * .70710678f * __builtin_fabsf(x));
      float p = -1.453152027f + u * 1.061405429f;
      p = .5f * u * (.254829592f + u * (-.284496736f + u * (1.421413741f + u * p))) * e;
      return x < 0 ? p : 1.f - p;
    };
    float e1 = fexp(-.5f * d1 * d1), e2 = fexp(-.5f * d2 * d2), n1 = cdf(d1, e1), n2 = cdf(d2, e2);
    float df = k * fexp(-r * t), pdf = e1 * .39894228f;
    o0[i] = s * n1 - df * n2;
    o1[i] = n1;
    o2[i] = -df / k * n2;
    o3[i] = .5f * s * pdf * v / q + r * df * n2;
    o4[i] = t * df * n2;
    o5[i] = s * pdf * q;
  }
}

API layer_norm(Ins in, Outs out) {
  const int N = 1024;
  static float part[2][2][N];
  const float* __restrict w = IN(float, 1), * __restrict b = IN(float, 2);
#pragma omp parallel num_threads(2)
  {
    float* __restrict dw = part[omp_get_thread_num()][0];
    float* __restrict db = part[omp_get_thread_num()][1];
    for (int j = 0; j < N; j++) dw[j] = db[j] = 0;
#pragma omp for schedule(static)
    for (int i = 0; i < 4096; i++) {
      const float *x = IN(float, 0) + i * N, *g = IN(float, 3) + i * N;
      float* __restrict y = OUT(float, 0) + i * N, * __restrict dx = OUT(float, 1) + i * N;
      float m = 0, v = 0, a = 0, c = 0;
#pragma omp simd reduction(+ : m)
      for (int j = 0; j < N; j++) m += x[j];
      m /= N;
#pragma omp simd reduction(+ : v, a, c)
      for (int j = 0; j < N; j++) {
        float d = x[j] - m, h = g[j] * w[j];
        v += d * d;
        a += h;
        c += h * d;
      }
      float r = 1 / __builtin_sqrtf(v / N + 1e-5f);
      a /= N;
      c *= r / N;
      for (int j = 0; j < N; j += W) {  // loads first: rows lie a multiple of 4096 bytes apart
        V X = load(x + j), G = load(g + j), A = load(w + j), B = load(b + j);
        V P = load(dw + j), Q = load(db + j), h = (X - m) * r;
        store(y + j, h * A + B);
        store(dx + j, (G * A - a - h * c) * r);
        store(dw + j, P + G * h);
        store(db + j, Q + G);
      }
    }
  }
  float *dw = OUT(float, 2), *db = OUT(float, 3);
  for (int j = 0; j < N; j++) {
    dw[j] = part[0][0][j] + part[1][0][j];
    db[j] = part[0][1][j] + part[1][1][j];
  }
}

FLAT V rsqrt(V q) {  // an estimate and a step of Newton's method
#if defined(__AVX512F__)
  V r = _mm512_rsqrt14_ps(q);
#elif defined(__AVX__)
  V r = _mm256_rsqrt_ps(q);
#else
  V r;
  for (int l = 0; l < W; l++) r[l] = 1 / __builtin_sqrtf(q[l]);
  return r;
#endif
  return r * (1.5f - .5f * q * r * r);
}

// The gradient of the sum over all ordered pairs of (|xi - xj|^2 + 1e-3)^(-1/2).
API nbody(Ins in, Outs out) {
  const int N = 1000, M = 1008;
  const float* x = IN(float, 0);
  float* o = OUT(float, 0);
  alignas(64) static float X[3][M];
  for (int i = 0; i < M; i++)
    for (int k = 0; k < 3; k++) X[k][i] = i < N ? x[3 * i + k] : 1e18f;  // far away: no force
#pragma omp parallel for schedule(static)
  for (int i = 0; i < N; i += 2) {
    V g[2][3] = {};
    for (int j = 0; j < M; j += W) {
      V a = load(X[0] + j), b = load(X[1] + j), c = load(X[2] + j);
      UNROLL(2)
      for (int u = 0; u < 2; u++) {
        V dx = X[0][i + u] - a, dy = X[1][i + u] - b, dz = X[2][i + u] - c;
        V r = rsqrt(dx * dx + (dy * dy + (dz * dz + 1e-3f))), w = r * r * r;
        g[u][0] += w * dx;
        g[u][1] += w * dy;
        g[u][2] += w * dz;
      }
    }
    UNROLL(2)
    for (int u = 0; u < 2; u++)
      for (int k = 0; k < 3; k++) o[3 * (i + u) + k] = -2 * sum(g[u][k]);
  }
}

API pairwise(Ins in, Outs out) {
  const int N = 2000;
  const float* x = IN(float, 0);
  alignas(64) static float X[3][N];
  for (int i = 0; i < N; i++)
    for (int k = 0; k < 3; k++) X[k][i] = x[3 * i + k];
#pragma omp parallel for schedule(static)
  for (int i = 0; i < N; i++) {
    float a = X[0][i], b = X[1][i], c = X[2][i], *__restrict o = OUT(float, 0) + (long)i * N;
#pragma omp simd
    for (int j = 0; j < N; j++) {
      float dx = a - X[0][j], dy = b - X[1][j], dz = c - X[2][j];
      o[j] = __builtin_sqrtf(dx * dx + dy * dy + dz * dz);
    }
  }
}

// Lotka-Volterra: n <= 4W trajectories from (1, 1), 1000 steps.
FLAT void rk4(const float* p, float* o, int n) {
  alignas(64) float t[4][4 * W] = {};
  for (int l = 0; l < n; l++)
    for (int k = 0; k < 4; k++) t[k][l] = p[4 * l + k];
  V a[4], b[4], c[4], d[4], x[4], y[4];
  const float h = .01f;
  for (int u = 0; u < 4; u++) {
    a[u] = load(t[0] + W * u);
    b[u] = load(t[1] + W * u);
    c[u] = load(t[2] + W * u);
    d[u] = load(t[3] + W * u);
    x[u] = y[u] = all(1);
  }
  for (int s = 0; s < 1000; s++) {
    UNROLL(4)
    for (int u = 0; u < 4; u++) {
      auto fx = [&](V x, V y) { return x * (a[u] - b[u] * y); };
      auto fy = [&](V x, V y) { return y * (c[u] * x - d[u]); };
      V x0 = x[u], y0 = y[u], p1 = fx(x0, y0), q1 = fy(x0, y0);
      V x1 = x0 + .5f * h * p1, y1 = y0 + .5f * h * q1, p2 = fx(x1, y1), q2 = fy(x1, y1);
      V x2 = x0 + .5f * h * p2, y2 = y0 + .5f * h * q2, p3 = fx(x2, y2), q3 = fy(x2, y2);
      V x3 = x0 + h * p3, y3 = y0 + h * q3, p4 = fx(x3, y3), q4 = fy(x3, y3);
      x[u] = x0 + h / 6 * (p1 + 2 * (p2 + p3) + p4);
      y[u] = y0 + h / 6 * (q1 + 2 * (q2 + q3) + q4);
    }
  }
  for (int u = 0; u < 4; u++) store(t[0] + W * u, x[u]), store(t[1] + W * u, y[u]);
  for (int l = 0; l < n; l++) o[2 * l] = t[0][l], o[2 * l + 1] = t[1][l];
}

static void rk4_all(Ins in, Outs out, int n) {
#pragma omp parallel for schedule(static)
  for (int i = 0; i < n; i += 4 * W)
    rk4(IN(float, 0) + 4 * i, OUT(float, 0) + 2 * i, std::min(4 * W, n - i));
}

API rk4_1000(Ins in, Outs out) { rk4_all(in, out, 1000); }
API rk4_100000(Ins in, Outs out) { rk4_all(in, out, 100000); }

// Matrices of 3 by 3. With AVX-512 one is the first nine lanes of a vector; otherwise two vectors
// hold its first and its last eight elements, and the ninth element of a result is a scalar.
#if defined(__AVX512F__)
FLAT V perm(V x, int a, int b, int c, int d, int e, int f, int g, int h, int i) {
  return _mm512_permutexvar_ps(_mm512_setr_epi32(a, b, c, d, e, f, g, h, i, i, i, i, i, i, i, i),
                               x);
}
#else
#define PERM(x, ...) __builtin_shufflevector(x, x, __VA_ARGS__)
#endif

API matmul3(Ins in, Outs out) {
  const float *a = IN(float, 0), *b = IN(float, 1);
  float* o = OUT(float, 0);
#pragma omp parallel for schedule(static)
  for (int i = 0; i < 10000; i++) {
#if defined(__AVX512F__)
    V x = _mm512_maskz_loadu_ps(0x1ff, a + 9 * i), y = _mm512_maskz_loadu_ps(0x1ff, b + 9 * i);
    V r = perm(x, 0, 0, 0, 3, 3, 3, 6, 6, 6) * perm(y, 0, 1, 2, 0, 1, 2, 0, 1, 2) +
          perm(x, 1, 1, 1, 4, 4, 4, 7, 7, 7) * perm(y, 3, 4, 5, 3, 4, 5, 3, 4, 5) +
          perm(x, 2, 2, 2, 5, 5, 5, 8, 8, 8) * perm(y, 6, 7, 8, 6, 7, 8, 6, 7, 8);
    _mm512_mask_storeu_ps(o + 9 * i, 0x1ff, r);
#else
    const float *p = a + 9 * i, *q = b + 9 * i;
    V x = load(p), z = load(p + 1), y = load(q), w = load(q + 1);
    V r = PERM(x, 0, 0, 0, 3, 3, 3, 6, 6) * PERM(y, 0, 1, 2, 0, 1, 2, 0, 1) +
          PERM(x, 1, 1, 1, 4, 4, 4, 7, 7) * PERM(y, 3, 4, 5, 3, 4, 5, 3, 4) +
          PERM(z, 1, 1, 1, 4, 4, 4, 7, 7) * PERM(w, 5, 6, 7, 5, 6, 7, 5, 6);
    store(o + 9 * i, r);
    o[9 * i + 8] = p[6] * q[2] + p[7] * q[5] + p[8] * q[8];
#endif
  }
}

API inv3(Ins in, Outs out) {  // cofactors
  const float* a = IN(float, 0);
  float* o = OUT(float, 0);
#pragma omp parallel for schedule(static)
  for (int i = 0; i < 10000; i++) {
#if defined(__AVX512F__)
    V x = _mm512_maskz_loadu_ps(0x1ff, a + 9 * i);
    V adj = perm(x, 4, 2, 1, 5, 0, 2, 3, 1, 0) * perm(x, 8, 7, 5, 6, 8, 3, 7, 6, 4) -
            perm(x, 5, 1, 2, 3, 2, 0, 4, 0, 1) * perm(x, 7, 8, 4, 8, 6, 5, 6, 7, 3);
    V p = x * perm(adj, 0, 3, 6, 0, 0, 0, 0, 0, 0);
    V det = perm(p, 0, 0, 0, 0, 0, 0, 0, 0, 0) + perm(p, 1, 1, 1, 1, 1, 1, 1, 1, 1) +
            perm(p, 2, 2, 2, 2, 2, 2, 2, 2, 2);
    _mm512_mask_storeu_ps(o + 9 * i, 0x1ff, adj / det);
#else
    const float* p = a + 9 * i;
    V x = load(p), z = load(p + 1);
    V adj = PERM(x, 4, 2, 1, 5, 0, 2, 3, 1) * PERM(z, 7, 6, 4, 5, 7, 2, 6, 5) -
            PERM(x, 5, 1, 2, 3, 2, 0, 4, 0) * PERM(z, 6, 7, 3, 7, 5, 4, 5, 6);
    float t = 1 / (p[0] * adj[0] + p[1] * adj[3] + p[2] * adj[6]);
    store(o + 9 * i, adj * t);
    o[9 * i + 8] = (p[0] * p[4] - p[1] * p[3]) * t;
#endif
  }
}

API bilinear(Ins in, Outs out) {
  const float* __restrict img = IN(float, 0), * __restrict p = IN(float, 1);
  float* __restrict o = OUT(float, 0);
#pragma omp parallel for simd schedule(static)
  for (int n = 0; n < 500000; n++) {
    float x = p[2 * n], y = p[2 * n + 1], u = __builtin_floorf(x), v = __builtin_floorf(y);
    float a = x - u, b = y - v;
    auto at = [](int i) { return i < 0 ? 0 : i > 1023 ? 1023 : i; };
    int i0 = at((int)u) * 1024, i1 = at((int)u + 1) * 1024, j0 = at((int)v), j1 = at((int)v + 1);
    o[n] = (img[i0 + j0] * (1 - a) + img[i1 + j0] * a) * (1 - b) +
           (img[i0 + j1] * (1 - a) + img[i1 + j1] * a) * b;
  }
}

API kmeans(Ins in, Outs out) {
  const float *x = IN(float, 0), *c = IN(float, 1);
  int32_t* o = OUT(int32_t, 0);
  alignas(64) static float T[16][64];
  for (int j = 0; j < 64; j++)
    for (int d = 0; d < 16; d++) T[d][j] = c[16 * j + d];
#pragma omp parallel for schedule(static)
  for (int i = 0; i < 20000; i += 4) {
#if defined(__AVX512F__)
    V s[4][4] = {};
    UNROLL(16)
    for (int d = 0; d < 16; d++) {
      UNROLL(4)
      for (int p = 0; p < 4; p++) {
        UNROLL(4)
        for (int v = 0; v < 4; v++) {
          V e = load(T[d] + 16 * v) - x[16 * (i + p) + d];
          s[p][v] += e * e;
        }
      }
    }
    UNROLL(4)
    for (int p = 0; p < 4; p++) {
      float m = _mm512_reduce_min_ps(
          _mm512_min_ps(_mm512_min_ps(s[p][0], s[p][1]), _mm512_min_ps(s[p][2], s[p][3])));
      uint64_t at = 0;
      UNROLL(4)
      for (int v = 0; v < 4; v++)
        at |= (uint64_t)_mm512_cmp_ps_mask(s[p][v], all(m), _CMP_EQ_OQ) << 16 * v;
      o[i + p] = __builtin_ctzll(at);
    }
#else
    V low[4];
    I at[4], lane = {0, 1, 2, 3, 4, 5, 6, 7};
    for (int j = 0; j < 64; j += 2 * W) {
      V s[4][2] = {};
      UNROLL(16)
      for (int d = 0; d < 16; d++) {
        UNROLL(4)
        for (int p = 0; p < 4; p++) {
          UNROLL(2)
          for (int v = 0; v < 2; v++) {
            V e = load(T[d] + j + W * v) - x[16 * (i + p) + d];
            s[p][v] += e * e;
          }
        }
      }
      UNROLL(4)
      for (int p = 0; p < 4; p++)  // the smallest so far in each lane
        UNROLL(2)
      for (int v = 0; v < 2; v++) {
        I less = j + v == 0 ? I{} - 1 : s[p][v] < low[p];
        low[p] = less ? s[p][v] : low[p];
        at[p] = less ? lane + (j + W * v) : at[p];
      }
    }
    for (int p = 0; p < 4; p++) {
      float m = FLT_MAX;
      for (int l = 0; l < W; l++) m = std::min(m, low[p][l]);
      I k = low[p] == all(m) ? at[p] : I{} + 64;
      int32_t first = 64;
      for (int l = 0; l < W; l++) first = std::min(first, k[l]);
      o[i + p] = first;
    }
#endif
  }
}

// A histogram with weights: tables of their own for the threads, and for neighbours, so that no
// addition waits for the one before.
template <class T, class F>
FLAT void count(const int32_t* x, T* o, F weight) {
  static T h[2][4][1024];
  memset(h, 0, sizeof h);
#pragma omp parallel for num_threads(2) schedule(static)
  for (int i = 0; i < 1000000; i += 4) {
    auto* t = h[omp_get_thread_num()];
    for (int u = 0; u < 4; u++) t[u][x[i + u]] += weight(i + u);
  }
  for (int j = 0; j < 1000; j++) {
    T s = 0;
    for (int k = 0; k < 8; k++) s += h[k / 4][k % 4][j];
    o[j] = s;
  }
}

API bincount(Ins in, Outs out) {
  count(IN(int32_t, 0), OUT(int32_t, 0), [](int) { return 1; });
}

API segment_sums(Ins in, Outs out) {
  const float* v = IN(float, 0);
  count(IN(int32_t, 1), OUT(float, 0), [=](int i) { return v[i]; });
}

API life(Ins in, Outs out) {  // periodic; a frame of one cell around two arrays
  const int N = 512, R = N + 128;
  alignas(64) static uint8_t g[2][(N + 2) * R];
  const uint8_t* x = IN(uint8_t, 0);
  uint8_t* o = OUT(uint8_t, 0);
  auto frame = [](uint8_t* v, int i) {  // around row i, which has just been written
    uint8_t* d = v + i * R;
    d[63] = d[63 + N];
    d[64 + N] = d[64];
    if (i == 1) memcpy(v + (N + 1) * R, d, R);
    if (i == N) memcpy(v, d, R);
  };
  for (int i = 1; i <= N; i++) memcpy(g[0] + i * R + 64, x + (i - 1) * N, N), frame(g[0], i);
#pragma omp parallel
  for (int s = 0; s < 100; s++) {
    const uint8_t* __restrict u = g[s & 1];
    uint8_t* __restrict v = g[~s & 1];
#pragma omp for schedule(static)
    for (int i = 1; i <= N; i++) {
      const uint8_t* c = u + i * R + 64;
      uint8_t* __restrict d = v + i * R + 64;
#pragma omp simd
      for (int j = 0; j < N; j++) {
        uint8_t n = c[j - R - 1] + c[j - R] + c[j - R + 1] + c[j - 1] + c[j + 1] + c[j + R - 1] +
                    c[j + R] + c[j + R + 1];
        d[j] = (n | c[j]) == 3;  // n = 3, or n = 2 and alive
      }
      frame(v, i);
    }
  }
  for (int i = 0; i < N; i++) memcpy(o + i * N, g[0] + (i + 1) * R + 64, N);
}

#if defined(__AVX512VNNI__)
// VNNI multiplies unsigned by signed: A + 128, then 128 times the sums of B's columns are taken
// off.
API int8_product(Ins in, Outs out) {
  const int N = 1024;
  alignas(64) static uint8_t A[N * N];
  alignas(64) static int8_t B[N * N];
  const int8_t *a = IN(int8_t, 0), *b = IN(int8_t, 1);
  int32_t* o = OUT(int32_t, 0);
#pragma omp parallel
  {
#pragma omp for schedule(static) nowait
    for (int i = 0; i < N * N; i++) A[i] = a[i] ^ 0x80;
#pragma omp for schedule(static)
    for (int n = 0; n < N; n += 32)  // panels of 32 columns, four rows interleaved
      for (int k = 0; k < N; k += 4)
        for (int j = 0; j < 32; j += 16) {
          __m128i r[4];
          UNROLL(4)
          for (int u = 0; u < 4; u++)
            r[u] = _mm_loadu_si128((const __m128i*)(b + (k + u) * N + n + j));
          __m128i t0 = _mm_unpacklo_epi8(r[0], r[1]), t1 = _mm_unpackhi_epi8(r[0], r[1]);
          __m128i t2 = _mm_unpacklo_epi8(r[2], r[3]), t3 = _mm_unpackhi_epi8(r[2], r[3]);
          __m128i* d = (__m128i*)(B + n * N + 32 * k + 4 * j);
          d[0] = _mm_unpacklo_epi16(t0, t2);
          d[1] = _mm_unpackhi_epi16(t0, t2);
          d[2] = _mm_unpacklo_epi16(t1, t3);
          d[3] = _mm_unpackhi_epi16(t1, t3);
        }
#pragma omp for schedule(static)
    for (int n = 0; n < N; n += 32) {
      const int8_t* p = B + n * N;
      __m512i c0 = {}, c1 = {}, one = _mm512_set1_epi8(1);
      for (int k = 0; k < N; k += 4) {
        c0 = _mm512_dpbusd_epi32(c0, one, _mm512_load_si512(p + 32 * k));
        c1 = _mm512_dpbusd_epi32(c1, one, _mm512_load_si512(p + 32 * k + 64));
      }
      c0 = _mm512_mullo_epi32(c0, _mm512_set1_epi32(-128));
      c1 = _mm512_mullo_epi32(c1, _mm512_set1_epi32(-128));
      for (int i = 0; i < N; i += 8) {
        __m512i s[8][2];
        UNROLL(8)
        for (int r = 0; r < 8; r++) s[r][0] = c0, s[r][1] = c1;
        for (int k = 0; k < N; k += 4) {
          __m512i b0 = _mm512_load_si512(p + 32 * k), b1 = _mm512_load_si512(p + 32 * k + 64);
          UNROLL(8)
          for (int r = 0; r < 8; r++) {  // GCC 12 copies around the intrinsic
            __m512i q = _mm512_set1_epi32(*(const int32_t*)(A + (i + r) * N + k));
            asm("vpdpbusd %1, %2, %0" : "+v"(s[r][0]) : "v"(b0), "v"(q));
            asm("vpdpbusd %1, %2, %0" : "+v"(s[r][1]) : "v"(b1), "v"(q));
          }
        }
        UNROLL(8)
        for (int r = 0; r < 8; r++) {
          _mm512_storeu_si512(o + (i + r) * N + n, s[r][0]);
          _mm512_storeu_si512(o + (i + r) * N + n + 16, s[r][1]);
        }
      }
    }
  }
}
#elif defined(__AVX2__)
// R rows by 16 columns, over D pairs of 16-bit numbers.
template <int R>
FLAT void pair_tile(const int32_t* a, int stride, const __m256i* b, int D, int32_t* o, int N,
                    bool first) {
  __m256i s[R][2] = {};
  for (int k = 0; k < D; k++) {
    __m256i b0 = b[2 * k], b1 = b[2 * k + 1];
    UNROLL(6)
    for (int r = 0; r < R; r++) {  // GCC 12 spills around the intrinsics
      __m256i q = _mm256_set1_epi32(a[r * stride + k]), t;
      asm("vpmaddwd %2, %3, %1\n\tvpaddd %1, %0, %0" : "+x"(s[r][0]), "=&x"(t) : "x"(b0), "x"(q));
      asm("vpmaddwd %2, %3, %1\n\tvpaddd %1, %0, %0" : "+x"(s[r][1]), "=&x"(t) : "x"(b1), "x"(q));
    }
  }
  UNROLL(6)
  for (int r = 0; r < R; r++) {
    UNROLL(2)
    for (int v = 0; v < 2; v++) {
      __m256i* d = (__m256i*)(o + r * N + 8 * v);
      *d = first ? s[r][v] : _mm256_add_epi32(*d, s[r][v]);
    }
  }
}

// Both factors as 16-bit numbers, B in panels of 16 columns with two rows interleaved: pmaddwd
// multiplies and adds pairs. A panel of half the depth stays in the first cache, 96 rows of A in
// the second.
API int8_product(Ins in, Outs out) {
  const int N = 1024, K = 512, M = 96;
  alignas(64) static int16_t A[N * N], B[N * N];
  const int8_t *a = IN(int8_t, 0), *b = IN(int8_t, 1);
  int32_t* o = OUT(int32_t, 0);
#pragma omp parallel
  {
#pragma omp for schedule(static) nowait
    for (int i = 0; i < N * N; i++) A[i] = a[i];
#pragma omp for schedule(static)
    for (int n = 0; n < N; n += 16)
      for (int k = 0; k < N; k += 2) {
        __m256i x = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)(b + k * N + n)));
        __m256i y = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)(b + (k + 1) * N + n)));
        __m256i l = _mm256_unpacklo_epi16(x, y), h = _mm256_unpackhi_epi16(x, y);
        __m256i* d = (__m256i*)(B + n * N + 16 * k);
        d[0] = _mm256_permute2x128_si256(l, h, 0x20);
        d[1] = _mm256_permute2x128_si256(l, h, 0x31);
      }
#pragma omp for schedule(static)
    for (int half = 0; half < N; half += N / 2)
      for (int k = 0; k < N; k += K)
        for (int m = 0; m < N; m += M)
          for (int n = half; n < half + N / 2; n += 16) {
            const __m256i* p = (const __m256i*)(B + n * N + 16 * k);
            const int32_t* q = (const int32_t*)(A + k);
            int i = m, end = std::min(m + M, N);
            for (; i + 6 <= end; i += 6)
              pair_tile<6>(q + i * (N / 2), N / 2, p, K / 2, o + i * N + n, N, k == 0);
            for (; i + 2 <= end; i += 2)
              pair_tile<2>(q + i * (N / 2), N / 2, p, K / 2, o + i * N + n, N, k == 0);
          }
  }
}
#else
API int8_product(Ins in, Outs out) {
  const int N = 1024, R = 4, C = 32;
  const int8_t *a = IN(int8_t, 0), *b = IN(int8_t, 1);
  int32_t* o = OUT(int32_t, 0);
#pragma omp parallel for schedule(static)
  for (int n = 0; n < N; n += C)
    for (int i = 0; i < N; i += R) {
      int32_t s[R][C] = {};
      for (int k = 0; k < N; k++)
        for (int r = 0; r < R; r++)
#pragma omp simd
          for (int j = 0; j < C; j++) s[r][j] += (int16_t)a[(i + r) * N + k] * b[k * N + n + j];
      for (int r = 0; r < R; r++) memcpy(o + (i + r) * N + n, s[r], sizeof s[r]);
    }
}
#endif

// Fifty steps of conjugate gradients from zero, for the five-point Laplacian with zeros around it.
// A step is two passes: the direction and its product with the matrix, whose values are only
// needed for an inner product; then that product again, solution and residual.
API conjugate_gradients(Ins in, Outs out) {
  const int N = 512, R = N + 2 * W;
  alignas(64) static float P[2][(N + 2) * R], r[N * N];
  static float pap[2], rr[2];
  const float* b = IN(float, 0);
  float* x = OUT(float, 0);
#pragma omp parallel num_threads(2)
  {
    const int t = omp_get_thread_num(), T = omp_get_num_threads(), lo = N * t / T,
              hi = N * (t + 1) / T;
    alignas(64) float outside[2][R] = {};  // the rows next to this thread's
    V s[2] = {};
    for (int i = lo * N; i < hi * N; i += 2 * W) {
      UNROLL(2)
      for (int u = 0; u < 2; u++) {
        V v = load(b + i + W * u);
        store(r + i + W * u, v);
        store(x + i + W * u, V{});
        s[u] += v * v;
      }
    }
    rr[t] = sum(s[0] + s[1]);
#pragma omp barrier
    float old = T == 2 ? rr[0] + rr[1] : rr[0], beta = 0;
    for (int step = 0; step < 50; step++) {
      const float* before = P[~step & 1] + R + W;  // row 0, column 0
      float* p = P[step & 1] + R + W;
      auto direction = [&](int i, float* d) {
        for (int j = 0; j < N; j += W) {
          V v = load(r + i * N + j);
          store(d + j, step ? v + beta * load(before + i * R + j) : v);
        }
      };
      auto product = [](const float* up, const float* c, const float* down, int j) {
        return 4 * load(c + j) - load(up + j) - load(down + j) - load(c + j - 1) - load(c + j + 1);
      };
      if (lo > 0) direction(lo - 1, outside[0] + W);
      if (hi < N) direction(hi, outside[1] + W);
      direction(lo, p + lo * R);
      s[0] = s[1] = V{};
      for (int i = lo; i < hi; i++) {
        if (i + 1 < hi) direction(i + 1, p + (i + 1) * R);
        const float* up = i > lo ? p + (i - 1) * R : outside[0] + W;
        const float* down = i + 1 < hi ? p + (i + 1) * R : outside[1] + W;
        const float* c = p + i * R;
        for (int j = 0; j < N; j += 2 * W) {
          UNROLL(2)
          for (int u = 0; u < 2; u++) s[u] += load(c + j + W * u) * product(up, c, down, j + W * u);
        }
      }
      pap[t] = sum(s[0] + s[1]);
#pragma omp barrier
      float alpha = old / (T == 2 ? pap[0] + pap[1] : pap[0]);
      s[0] = s[1] = V{};
      for (int i = lo; i < hi; i++) {
        const float* c = p + i * R;
        for (int j = 0; j < N; j += 2 * W) {
          UNROLL(2)
          for (int u = 0; u < 2; u++) {
            int k = i * N + j + W * u;
            V v = load(r + k) - alpha * product(c - R, c, c + R, j + W * u);
            store(x + k, load(x + k) + alpha * load(c + j + W * u));
            store(r + k, v);
            s[u] += v * v;
          }
        }
      }
      rr[t] = sum(s[0] + s[1]);
#pragma omp barrier
      float now = T == 2 ? rr[0] + rr[1] : rr[0];
      beta = now / old;
      old = now;
    }
  }
}

// Four rows at a time: down the columns into a buffer, then along its rows.
API gaussian_blur(Ins in, Outs out) {
  const int N = 1024, D = 5, E = 16;
  const float *x = IN(float, 0), *w = IN(float, 1);
  float* o = OUT(float, 0);
#pragma omp parallel for schedule(static)
  for (int i = 0; i < N; i += 4) {
    alignas(64) float t[4][N + 2 * E];
    V a[2 * D + 1];
    for (int k = 0; k <= 2 * D; k++) a[k] = all(w[k]);
    const float* row[2 * D + 4];
    for (int k = 0; k < 2 * D + 4; k++) row[k] = x + std::clamp(i + k - D, 0, N - 1) * N;
    for (int j = 0; j < N; j += 2 * W) {
      V s[4][2] = {};
      UNROLL(16)
      for (int k = 0; k < 2 * D + 4; k++) {
        V v[2] = {load(row[k] + j), load(row[k] + j + W)};
        UNROLL(4)
        for (int r = 0; r < 4; r++)
          if (0 <= k - r && k - r <= 2 * D) {
            s[r][0] += a[k - r] * v[0];
            s[r][1] += a[k - r] * v[1];
          }
      }
      UNROLL(4)
      for (int r = 0; r < 4; r++) store(t[r] + E + j, s[r][0]), store(t[r] + E + j + W, s[r][1]);
    }
    for (int r = 0; r < 4; r++) {
      for (int k = 1; k <= D; k++) t[r][E - k] = t[r][E], t[r][E + N - 1 + k] = t[r][E + N - 1];
      for (int j = 0; j < N; j += 4 * W) {
        V s[4] = {};
        UNROLL(16)
        for (int k = 0; k <= 2 * D; k++) {
          UNROLL(4)
          for (int u = 0; u < 4; u++) s[u] += a[k] * load(t[r] + E - D + j + k + W * u);
        }
        UNROLL(4)
        for (int u = 0; u < 4; u++) store(o + (i + r) * N + j + W * u, s[u]);
      }
    }
  }
}

// For each sequence of symbols the logarithm of its probability: an exponential for each pair of
// states and step, beneath the largest of the sums for a state.
API hmm_forward(Ins in, Outs out) {
  const int S = 64, T = 1000, B = 16, M = 32;
  const float *start = IN(float, 0), *move = IN(float, 1), *emit = IN(float, 2);
  const int32_t* seen = IN(int32_t, 3);
  float* o = OUT(float, 0);
  alignas(64) static float E[M][S];
  for (int m = 0; m < M; m++)
    for (int j = 0; j < S; j++) E[m][j] = emit[j * M + m];
#pragma omp parallel for schedule(static)
  for (int b = 0; b < B; b++) {
    alignas(64) float a[S], high[S], total[S];
    for (int j = 0; j < S; j++) a[j] = start[j] + E[seen[b * T]][j];
    for (int t = 1; t < T; t++) {
      for (int j = 0; j < S; j += 4 * W) {
        V h[4], s[4] = {};
        UNROLL(4)
        for (int u = 0; u < 4; u++) h[u] = load(move + j + W * u) + a[0];
        for (int i = 1; i < S; i++) {
          UNROLL(4)
          for (int u = 0; u < 4; u++) h[u] = max(h[u], load(move + i * S + j + W * u) + a[i]);
        }
        for (int i = 0; i < S; i++) {
          UNROLL(4)
          for (int u = 0; u < 4; u++) s[u] += vexp(load(move + i * S + j + W * u) + a[i] - h[u]);
        }
        UNROLL(4)
        for (int u = 0; u < 4; u++) store(high + j + W * u, h[u]), store(total + j + W * u, s[u]);
      }
      const float* e = E[seen[b * T + t]];
#pragma omp simd
      for (int j = 0; j < S; j++) a[j] = high[j] + flog(total[j]) + e[j];
    }
    float h = a[0], s = 0;
    for (int j = 1; j < S; j++) h = std::max(h, a[j]);
    for (int j = 0; j < S; j++) s += fexp(a[j] - h);
    o[b] = h + flog(s);
  }
}

// A series in each lane; symmetric matrices by their upper halves.
API kalman(Ins in, Outs out) {
  const int S = 1000, T = 200;
  const float *F = IN(float, 0), *H = IN(float, 1), *Q = IN(float, 2), *z = IN(float, 3);
  const float *q = IN(float, 4), *r = IN(float, 5);
  float* o = OUT(float, 0);
#pragma omp parallel for schedule(static)
  for (int block = 0; block < (S + W - 1) / W; block++) {
    const int at = std::min(block * W, S - W);
    V x[4] = {}, P[4][4] = {}, noise = load(q + at), error = load(r + at);
    for (int i = 0; i < 4; i++) P[i][i] = all(1);
    for (int t = 0; t < T; t += W / 2) {
      V seen[W], means[W];
      for (int l = 0; l < W; l++) seen[l] = load(z + (at + l) * 2 * T + 2 * t);
      transpose(seen);
      for (int u = 0; u < W / 2; u++) {
        V y[4], G[4][4], K[4][2], J[2][4];
        UNROLL(4)
        for (int i = 0; i < 4; i++) {
          y[i] = F[4 * i] * x[0];
          UNROLL(4)
          for (int k = 1; k < 4; k++) y[i] += F[4 * i + k] * x[k];
          UNROLL(4)
          for (int j = 0; j < 4; j++) {
            G[i][j] = F[4 * i] * P[0][j];
            UNROLL(4)
            for (int k = 1; k < 4; k++) G[i][j] += F[4 * i + k] * P[std::min(k, j)][std::max(k, j)];
          }
        }
        UNROLL(4)
        for (int i = 0; i < 4; i++) {
          UNROLL(4)
          for (int j = i; j < 4; j++) {
            V s = Q[4 * i + j] * noise;
            UNROLL(4)
            for (int k = 0; k < 4; k++) s += G[i][k] * F[4 * j + k];
            P[i][j] = s;
          }
        }
        V C[2][2], d[2];
        UNROLL(2)
        for (int i = 0; i < 2; i++) {
          d[i] = seen[2 * u + i];
          UNROLL(4)
          for (int j = 0; j < 4; j++) {
            d[i] -= H[4 * i + j] * y[j];
            J[i][j] = H[4 * i] * P[0][j];
            UNROLL(4)
            for (int k = 1; k < 4; k++) J[i][j] += H[4 * i + k] * P[std::min(k, j)][std::max(k, j)];
          }
          UNROLL(2)
          for (int j = 0; j <= i; j++) {
            C[i][j] = i == j ? error : V{};
            UNROLL(4)
            for (int k = 0; k < 4; k++) C[i][j] += J[i][k] * H[4 * j + k];
          }
        }
        V f = 1 / (C[0][0] * C[1][1] - C[1][0] * C[1][0]);
        V i00 = C[1][1] * f, i01 = -C[1][0] * f, i11 = C[0][0] * f;
        UNROLL(4)
        for (int i = 0; i < 4; i++) {
          K[i][0] = J[0][i] * i00 + J[1][i] * i01;
          K[i][1] = J[0][i] * i01 + J[1][i] * i11;
          x[i] = means[4 * (u % (W / 4)) + i] = y[i] + K[i][0] * d[0] + K[i][1] * d[1];
        }
        UNROLL(4)
        for (int i = 0; i < 4; i++) {
          UNROLL(4)
          for (int j = i; j < 4; j++) P[i][j] -= K[i][0] * J[0][j] + K[i][1] * J[1][j];
        }
        if (u % (W / 4) == W / 4 - 1) {
          transpose(means);
          for (int l = 0; l < W; l++)
            store(o + (at + l) * 4 * T + 4 * (t + u - (W / 4 - 1)), means[l]);
        }
      }
    }
  }
}

constexpr int LSTM_IN = 64, LSTM_H = 256, LSTM_D = LSTM_IN + LSTM_H, LSTM_B = 32;

// The four gates of W units for R elements of the batch, and what follows from them.
template <int R>
FLAT void lstm_tile(const float* xh, const float* w, const float* bias, int unit, float* c,
                    float* next, float* o) {
  V s[R][4];
  UNROLL(8)
  for (int r = 0; r < R; r++) {
    UNROLL(4)
    for (int g = 0; g < 4; g++) s[r][g] = load(bias + g * LSTM_H + unit);
  }
  for (int k = 0; k < LSTM_D; k++) {
    V x[R];
    UNROLL(8)
    for (int r = 0; r < R; r++) x[r] = all(xh[r * LSTM_D + k]);
    UNROLL(4)
    for (int g = 0; g < 4; g++) {
      V v = load(w + (4 * k + g) * W);
      UNROLL(8)
      for (int r = 0; r < R; r++) s[r][g] += x[r] * v;
    }
  }
  auto sigmoid = [](V x) {
    V e = vexp(x > 0 ? -x : x), t = 1 / (1 + e);
    return x > 0 ? t : e * t;
  };
  auto tanh = [](V x) {
    V e = vexp(x > 0 ? -2 * x : 2 * x), t = (1 - e) / (1 + e);
    return x > 0 ? t : -t;
  };
  for (int r = 0; r < R; r++) {
    V d = sigmoid(s[r][1]) * load(c + r * LSTM_H + unit) + sigmoid(s[r][0]) * tanh(s[r][2]);
    V h = sigmoid(s[r][3]) * tanh(d);
    store(c + r * LSTM_H + unit, d);
    store(next + r * LSTM_D + LSTM_IN + unit, h);
    store(o + r * LSTM_H + unit, h);
  }
}

// Weights in panels of the four gates of W units; a register tile of three elements of the batch
// (six with AVX-512) by a panel.
API lstm(Ins in, Outs out) {
#if defined(__AVX512F__)
  const int R = 6;
#else
  const int R = 3;
#endif
  const int T = 100, B = LSTM_B, H = LSTM_H, D = LSTM_D;
  alignas(64) static float w[D * 4 * H], xh[2][B * D], c[B * H];
  const float *x = IN(float, 0), *weights = IN(float, 1), *bias = IN(float, 2);
  float* o = OUT(float, 0);
#pragma omp parallel
  {
#pragma omp for schedule(static)
    for (int unit = 0; unit < H; unit += W)
      for (int k = 0; k < D; k++)
        for (int g = 0; g < 4; g++)
          store(w + unit * 4 * D + (4 * k + g) * W, load(weights + k * 4 * H + g * H + unit));
#pragma omp for schedule(static)
    for (int b = 0; b < B; b++) {
      memcpy(xh[0] + b * D, x + b * LSTM_IN, 4 * LSTM_IN);
      memset(xh[0] + b * D + LSTM_IN, 0, 4 * H);
      memset(c + b * H, 0, 4 * H);
    }
    for (int t = 0; t < T; t++) {
      const float* now = xh[t & 1];
      float* next = xh[~t & 1];
      if (t + 1 < T) {
#pragma omp for schedule(static) nowait
        for (int b = 0; b < B; b++)
          memcpy(next + b * D, x + ((t + 1) * B + b) * LSTM_IN, 4 * LSTM_IN);
      }
#pragma omp for schedule(static)
      for (int unit = 0; unit < H; unit += W) {
        const float* p = w + unit * 4 * D;
        int b = 0;
        for (; b + R <= B; b += R)
          lstm_tile<R>(now + b * D, p, bias, unit, c + b * H, next + b * D, o + (t * B + b) * H);
        static_assert(B % R == 2);
        lstm_tile<2>(now + b * D, p, bias, unit, c + b * H, next + b * D, o + (t * B + b) * H);
      }
    }
  }
}

API moving_median(Ins in, Outs out) {
  const float* x = IN(float, 0);
  float* o = OUT(float, 0);
#pragma omp parallel for simd schedule(static)
  for (int i = 0; i < 999996; i++) {
    float a = x[i], b = x[i + 1], c = x[i + 2], d = x[i + 3], e = x[i + 4];
    float l = std::max(std::min(a, b), std::min(c, d)),
          h = std::min(std::max(a, b), std::max(c, d));
    o[i] = std::max(std::min(l, h), std::min(std::max(l, h), e));
  }
}

// A system in each lane, two vectors of them at a time; W rows are transposed at once.
API tridiagonal(Ins in, Outs out) {
  const int S = 10000, N = 64, U = 2;
  const float *a = IN(float, 0), *b = IN(float, 1), *c = IN(float, 2), *d = IN(float, 3);
  float* o = OUT(float, 0);
#pragma omp parallel for schedule(static)
  for (int block = 0; block < (S + U * W - 1) / (U * W); block++) {
    const int at = std::min(block * U * W, S - U * W);
    V C[N][U], D[N][U], p[U] = {}, q[U] = {};
    for (int i = 0; i < N; i += W) {
      V r[4][U][W];
      UNROLL(2)
      for (int u = 0; u < U; u++) {
        const int k = (at + u * W) * N + i;
        for (int l = 0; l < W; l++) {
          r[0][u][l] = load(a + k + l * N);
          r[1][u][l] = load(b + k + l * N);
          r[2][u][l] = load(c + k + l * N);
          r[3][u][l] = load(d + k + l * N);
        }
        UNROLL(4)
        for (int m = 0; m < 4; m++) transpose(r[m][u]);
      }
      for (int l = 0; l < W; l++) {
        UNROLL(2)
        for (int u = 0; u < U; u++) {
          V m = 1 / (r[1][u][l] - r[0][u][l] * p[u]);
          C[i + l][u] = p[u] = r[2][u][l] * m;
          D[i + l][u] = q[u] = (r[3][u][l] - r[0][u][l] * q[u]) * m;
        }
      }
    }
    V x[U] = {};
    for (int i = N - W; i >= 0; i -= W) {
      V r[U][W];
      for (int l = W - 1; l >= 0; l--) {
        UNROLL(2)
        for (int u = 0; u < U; u++) r[u][l] = x[u] = D[i + l][u] - C[i + l][u] * x[u];
      }
      UNROLL(2)
      for (int u = 0; u < U; u++) {
        transpose(r[u]);
        for (int l = 0; l < W; l++) store(o + (at + u * W + l) * N + i, r[u][l]);
      }
    }
  }
}

FLAT V gather(const float* p, I i) {
#if defined(__AVX512F__)
  return _mm512_i32gather_ps((__m512i)i, p, 4);
#elif defined(__AVX2__)
  return _mm256_i32gather_ps(p, (__m256i)i, 4);
#else
  V x;
  for (int l = 0; l < W; l++) x[l] = p[i[l]];
  return x;
#endif
}

// The coefficients of the pieces i: gathered, or four at a time and transposed.
FLAT void cubics(const float* c, const V4* powers, I i, V* p) {
#if defined(__AVX512F__)
  UNROLL(4)
  for (int k = 0; k < 4; k++) p[k] = gather(c + 999 * k, i);
#else
  V a[4], b[4];
  UNROLL(4)
  for (int l = 0; l < 4; l++) {
    V4 x = powers[i[l]], y = powers[i[l + 4]];
    a[l] = __builtin_shufflevector(x, y, 0, 1, 2, 3, 4, 5, 6, 7);
  }
  UNROLL(2)
  for (int l = 0; l < 2; l++) {
    b[l] = __builtin_shufflevector(a[2 * l], a[2 * l + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    b[l + 2] = __builtin_shufflevector(a[2 * l], a[2 * l + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
  UNROLL(2)
  for (int k = 0; k < 2; k++) {
    p[2 * k] = __builtin_shufflevector(b[2 * k], b[2 * k + 1], 0, 1, 8, 9, 4, 5, 12, 13);
    p[2 * k + 1] = __builtin_shufflevector(b[2 * k], b[2 * k + 1], 2, 3, 10, 11, 6, 7, 14, 15);
  }
#endif
}

// Bisection without branches: the last knot that is not above x, in ten steps. The knots that the
// first four may meet (five with AVX-512) are in a register a step.
API spline(Ins in, Outs out) {
  const int N = 1000, L = W == 16 ? 5 : 4;
  alignas(64) static float knots[1024];
  const float *k = IN(float, 0), *c = IN(float, 1), *x = IN(float, 2);
  float* o = OUT(float, 0);
  static V4 powers[N];
  for (int i = 0; i < 1024; i++) knots[i] = i < N ? k[i] : FLT_MAX;
  for (int i = 0; i < N - 1; i++)
    for (int p = 0; p < 4; p++) powers[i][p] = c[p * (N - 1) + i];
  V first[L];
  for (int s = 0; s < L; s++)
    for (int e = 0; e < W; e++) first[s][e] = knots[((2 * e + 1) << (9 - s)) & 1023];
#pragma omp parallel for schedule(static) firstprivate(first)
  for (int n = 0; n < 1000000; n += W) {
    V v = load(x + n);
    I i = {};
    UNROLL(5)
    for (int s = 0; s < L; s++) i = 2 * i - (__builtin_shuffle(first[s], i) <= v);
    i <<= 10 - L;
    UNROLL(6)
    for (int s = 1 << (9 - L); s > 0; s /= 2) i = gather(knots, i + s) <= v ? i + s : i;
    i = i < N - 2 ? i : I{} + (N - 2);
    V t = v - gather(knots, i), p[4];
    cubics(c, powers, i, p);
    store(o + n, ((p[3] * t + p[2]) * t + p[1]) * t + p[0]);
  }
}

// Blocks of outputs in the first cache; of the products of 8 vectors of outputs with 4 taps that
// lie a vector apart, many share their vector of inputs.
API fir(Ins in, Outs out) {
  const int N = 1000000, K = 64, BLOCK = 48 * W, U = 8, G = 4;
  const float *x = IN(float, 0), *h = IN(float, 1);
  float* o = OUT(float, 0);
#pragma omp parallel for schedule(static)
  for (int block = 0; block < (N + BLOCK - 1) / BLOCK; block++) {
    // t[m] is x[first + m]; output n is the sum of h[k] x[n + 31 - k]
    const int at = block * BLOCK, first = at - K / 2, n = std::min(BLOCK, N - at);
    alignas(64) float t[BLOCK + K], y[BLOCK];
    const int lo = std::max(0, -first), hi = std::min(BLOCK + K, N - first);
    for (int m = 0; m < lo; m++) t[m] = 0;
    memcpy(t + lo, x + first + lo, 4 * (hi - lo));
    for (int m = hi; m < BLOCK + K; m++) t[m] = 0;
    for (int i = 0; i < n; i += U * W) {
      V s[U] = {};
      for (int phase = 0; phase < W; phase++)
        for (int g = 0; g < K; g += G * W) {
          V a[G];
          UNROLL(4)
          for (int j = 0; j < G; j++) a[j] = all(h[g + phase + W * j]);
          // output i + W u takes input i + W u + K - 1 - (g + phase + W j)
          const float* p = t + i + K - 1 - g - phase;
          UNROLL(16)
          for (int m = 1 - G; m < U; m++) {
            V v = load(p + W * m);
            UNROLL(4)
            for (int j = 0; j < G; j++)
              if (0 <= m + j && m + j < U) s[m + j] += a[j] * v;
          }
        }
      UNROLL(8)
      for (int u = 0; u < U; u++) store(y + i + W * u, s[u]);
    }
    memcpy(o + at, y, 4 * n);
  }
}
