// Object code of compiled programs, in the memory of this process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace covector {

// Whether this process can take object code by itself: ELF for x86-64. Elsewhere LLVM does it.
#if defined(__linux__) && defined(__x86_64__)
constexpr bool kLoadsCode = true;
#else
constexpr bool kLoadsCode = false;
#endif

// A relocatable object file. One with a `name` has a function `function`, which other files of its
// program call by that name; in others, functions have the names they are called by.
struct ObjectFile {
  std::string name;
  std::string_view bytes;
};

// The code and the constants of a program, of one file or several. Programs lie side by side in
// memory that they share, so that the system has few mappings to keep however many there are: it
// allows a process some 65,000.
//
// Made and destroyed with the interpreter's lock held, which also guards the shared memory.
class LoadedCode {
 public:
  // The symbol `entry` is what `address` gives. Throws std::invalid_argument where a file is not
  // understood or calls what there is not, std::bad_alloc where there is no memory.
  LoadedCode(const std::vector<ObjectFile>& files, const std::string& entry);
  ~LoadedCode();
  LoadedCode(const LoadedCode&) = delete;
  LoadedCode& operator=(const LoadedCode&) = delete;

  uint64_t address() const { return address_; }

 private:
  char* base_;
  size_t bytes_;
  uint64_t address_;
};

}  // namespace covector
