// Factorisations of batches of row-major matrices through LAPACK.
//
// Matrices follow one another in memory. Every function returns 0, or 1 where memory ran out;
// matrices that are not finite, or whose factorisation fails, give NaN.
#pragma once

#include <cstdint>

namespace covector {

// out = L with L Lᴴ = a, from the lower triangle of a, or (upper) U with Uᴴ U = a from the other;
// zeros elsewhere.
int32_t cholesky(int32_t code, int32_t upper, const void* a, void* out, int64_t n, int64_t batch);

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

// Eigenvectors as columns (unless null), and eigenvalues in ascending order, of a Hermitian matrix
// given by one of its triangles.
int32_t eigh(int32_t code, int32_t lower, const void* a, void* vectors, void* values, int64_t n,
             int64_t batch);

// a = u diag(s) vh; u and vh have full size (kFull) or min(m, n) columns and rows, and may be null.
// By divide and conquer, or (kByQr) by QR iterations.
enum SvdFlags { kFull = 1, kByQr = 2 };
int32_t svd(int32_t code, int32_t flags, const void* a, void* s, void* u, void* vh, int64_t m,
            int64_t n, int64_t batch);

// Eigenvalues and, where not null, left and right eigenvectors (columns) of a general matrix;
// the results are complex.
int32_t eig(int32_t code, const void* a, void* values, void* left, void* right, int64_t n,
            int64_t batch);

// a (n×n) reduced to Hessenberg form: vectors of reflections below its subdiagonal, n - 1 factors.
int32_t hessenberg(int32_t code, const void* a, void* out, void* taus, int64_t n, int64_t batch);

// A triangle of a Hermitian matrix reduced to a real tridiagonal one, with diagonal d and n - 1
// elements e beside it; out and the n - 1 taus hold the reflections.
int32_t tridiagonal(int32_t code, int32_t lower, const void* a, void* out, void* d, void* e,
                    void* taus, int64_t n, int64_t batch);

// out (m×n) = op(q) c, or (kRightQ) c op(q), where q is the product of the k reflections in the
// columns of a; op is the conjugate transposition with kTransposeQ.
enum OrmqrFlags { kRightQ = 1, kTransposeQ = 2 };
int32_t ormqr(int32_t code, int32_t flags, const void* a, const void* taus, const void* c,
              void* out, int64_t m, int64_t n, int64_t k, int64_t batch);

// a = q t qᴴ with t upper triangular but for blocks of two rows where eigenvalues of a real matrix
// are complex. q may be null.
int32_t schur(int32_t code, const void* a, void* t, void* q, int64_t n, int64_t batch);

// op(a) x ± x op(b) = c for a (m×m) and b (n×n) as Schur forms are; op transposes and conjugates.
enum SylvesterFlags { kAdjointA = 1, kAdjointB = 2, kMinus = 4 };
int32_t triangular_sylvester(int32_t code, int32_t flags, const void* a, const void* b,
                             const void* c, void* x, int64_t m, int64_t n, int64_t batch);

// x with T x = b (n×m), where T has the diagonals dl (whose first element is not read), d, and du
// (whose last is not). A pivot of zero makes x NaN, or is replaced by the smallest number.
int32_t tridiagonal_solve(int32_t code, int32_t perturb, const void* dl, const void* d,
                          const void* du, const void* b, void* x, int64_t n, int64_t m,
                          int64_t batch);

// Eigenvalues, ascending, and (unless null) eigenvectors in columns, of a real symmetric
// tridiagonal matrix.
int32_t eigh_tridiagonal(int32_t code, const void* d, const void* e, void* values, void* vectors,
                         int64_t n, int64_t batch);

// The upper triangular out with outᴴ out = rᴴ r + w wᴴ, for upper triangular r.
int32_t cholesky_update(int32_t code, const void* r, const void* w, void* out, int64_t n,
                        int64_t batch);

// out (n×n) = a aᵀ for a of n×k.
int32_t symmetric_product(int32_t code, const void* a, void* out, int64_t n, int64_t k,
                          int64_t batch);

// Exponentials of matrices (n×n) and, where e is not null, their derivatives in the direction e;
// out may then be null. NaN where more than max_squarings squarings would be needed.
int32_t exponential(int32_t code, int32_t max_squarings, const void* a, const void* e, void* out,
                    void* derivative, int64_t n, int64_t batch);

}  // namespace covector
