// BLAS and LAPACK routines, found by name at run time.
#pragma once

#include <complex>
#include <cstdint>
#include <type_traits>

namespace covector {

// Base names; a routine exists for each element type (s, d, c, z). LAPACK calls some of the
// complex ones otherwise: ungqr, unmqr, heevd, hetrd.
enum class Routine {
  gemm,
  gemv,
  trsm,
  potrf,
  getrf,
  geqrf,
  geqp3,
  orgqr,
  syevd,
  gesdd,
  geev,
  syrk,
  gesvd,
  gehrd,
  sytrd,
  ormqr,
  gees,
  trsyl,
  stevd,
  getrs,
  count
};

// Registers a routine by its name, such as dgemm, or OpenBLAS's set_num_threads and
// get_num_threads (void(int) and int()). Every argument of a routine is a pointer, integers are
// 32 bits wide. False if the name is none of these.
bool set_routine(const char* name, void* address);

void* find_routine(Routine routine, int type);  // null where it was not registered

template <class T>
inline constexpr int type_index = std::is_same_v<T, float>                  ? 0
                                  : std::is_same_v<T, double>               ? 1
                                  : std::is_same_v<T, std::complex<float>>  ? 2
                                  : std::is_same_v<T, std::complex<double>> ? 3
                                                                            : -1;

template <class T, class F>
F find_routine_for(Routine routine) {
  return reinterpret_cast<F>(find_routine(routine, type_index<T>));
}

// While an object of this type exists, BLAS is to use one thread: work is spread over our own,
// so that two pools do not fight for the processors and the result does not depend on their
// number. The setting is shared with other users of the library, hence restored.
class SingleThreadedBlas {
 public:
  SingleThreadedBlas();
  ~SingleThreadedBlas();
  SingleThreadedBlas(const SingleThreadedBlas&) = delete;
  SingleThreadedBlas& operator=(const SingleThreadedBlas&) = delete;

  static bool available();
};

}  // namespace covector
