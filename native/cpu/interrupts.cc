// Signals that arrive while compiled code runs: the main thread handles them now and then, as
// Python does between its instructions, and what a handler raises ends the program.
#include "cpu/interrupts.h"

#include <pthread.h>

#include <chrono>

#include "cpu/executable.h"
#include "cpu/runtime.h"
#include "python/ref.h"
#include "python/trace_state.h"

namespace covector {
namespace {

// How long a signal may wait.
constexpr auto kPatience = std::chrono::milliseconds(50);

unsigned long main_thread = 0;

bool check_signals() {
  using Clock = std::chrono::steady_clock;
  // A program that comes here is long enough for other threads to go on beside it.
  if (thread_state.running) thread_state.running->release_gil();
  thread_local Clock::time_point next;
  auto now = Clock::now();
  if (now < next) return false;
  next = now + kPatience;
  if (PyThread_get_thread_ident() != main_thread) return false;
  GilGuard gil;
  if (PyErr_Occurred()) return true;  // a callback of the same run failed
  return PyErr_CheckSignals() != 0;
}

}  // namespace

bool init_interrupts() {
  Ref threading(PyImport_ImportModule("threading"));
  Ref main(threading ? PyObject_CallMethod(threading.get(), "main_thread", nullptr) : nullptr);
  Ref ident(main ? PyObject_GetAttrString(main.get(), "ident") : nullptr);
  if (!ident) return false;
  main_thread = PyLong_AsUnsignedLong(ident.get());
  if (PyErr_Occurred()) return false;
  // The thread that forks is the main one of the child.
  pthread_atfork(nullptr, nullptr, [] { main_thread = PyThread_get_thread_ident(); });
  interrupted = check_signals;
  return true;
}

}  // namespace covector
