// Factorisations of batches of row-major matrices through LAPACK.
//
// Matrices follow one another in memory. Every function returns 0, or 1 where memory ran out;
// matrices that are not finite, or whose factorisation fails, give NaN.
#pragma once

#include <cstdint>

namespace covector {

// out = L with L Lᴴ = a, from the lower triangle of a; zeros above the diagonal.
int32_t cholesky(int32_t code, const void* a, void* out, int64_t n, int64_t batch);

// x with op(a) x = b where a is n×n and b n×m, or (kRight) x op(a) = b with b m×n.
enum TriangularFlags { kRight = 1, kLower = 2, kTranspose = 4, kConjugate = 8, kUnit = 16 };
int32_t triangular_solve(int32_t code, int32_t flags, const void* a, const void* b, void* x,
                         int64_t n, int64_t m, int64_t batch);

// lu = L and U in one array, min(m, n) pivots, and the permutation of the m rows they make.
int32_t lu(int32_t code, const void* a, void* lu, int32_t* pivots, int32_t* permutation, int64_t m,
           int64_t n, int64_t batch);

int32_t pivots_to_permutation(const int32_t* pivots, int32_t* permutation, int64_t k, int64_t n,
                              int64_t batch);

// a = q r with q of m×k and r of k×n; k is m or min(m, n). With permutation (or null), the
// columns of a are taken in the order that it receives.
int32_t qr(int32_t code, const void* a, void* q, void* r, int32_t* permutation, int64_t m,
           int64_t n, int64_t k, int64_t batch);

// Householder vectors below the diagonal of out, r above it, and the min(m, n) factors taus.
int32_t geqrf(int32_t code, const void* a, void* out, void* taus, int64_t m, int64_t n,
              int64_t batch);

// The first n columns of the product of k reflections of length m >= n >= k.
int32_t householder_product(int32_t code, const void* a, const void* taus, void* out, int64_t m,
                            int64_t n, int64_t k, int64_t batch);

// Eigenvectors as columns, and eigenvalues in ascending order, of a Hermitian matrix given by
// one of its triangles.
int32_t eigh(int32_t code, int32_t lower, const void* a, void* vectors, void* values, int64_t n,
             int64_t batch);

// a = u diag(s) vh; u and vh have full size or (reduced) min(m, n) columns and rows. u and vh may
// be null.
int32_t svd(int32_t code, int32_t full, const void* a, void* s, void* u, void* vh, int64_t m,
            int64_t n, int64_t batch);

// Eigenvalues and, where not null, left and right eigenvectors (columns) of a general matrix;
// the results are complex.
int32_t eig(int32_t code, const void* a, void* values, void* left, void* right, int64_t n,
            int64_t batch);

}  // namespace covector
