// A loader of relocatable ELF files, for the little of the format that compiled programs have:
// code, constants, references between them, and calls of functions of other files of the program
// and of this process. The files lie one behind the other: constants in front of the code, the
// jumps to functions that may be far away behind it.
//
// The format: System V ABI, AMD64 supplement, version 1.0, chapter 4.
#include "cpu/loader.h"

#include "core/dtype.h"

#include <stdexcept>

#if defined(__linux__) && defined(__x86_64__)

#include <dlfcn.h>
#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <new>
#include <unordered_map>
#include <vector>

namespace covector {
namespace {

[[noreturn]] void refuse(const std::string& why) {
  throw std::invalid_argument("object code that cannot be loaded: " + why);
}

size_t rounded_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

size_t page_bytes() {
  static const size_t bytes = size_t(sysconf(_SC_PAGESIZE));
  return bytes;
}

// What LLVM calls where a processor has no instruction for it. A number of 16 bits is in the low bits
// of a register, as one of 32 is.
float half_in(uint16_t h) {
  float out = 0;
  std::memcpy(&out, &h, sizeof h);
  return out;
}

float extend_half(float x) {
  uint16_t h;
  std::memcpy(&h, &x, sizeof h);
  return half_to_float(h);
}

float truncate_float(float x) { return half_in(half_from_double(x)); }

float truncate_double(double x) { return half_in(half_from_double(x)); }

void* own_function(const std::string& name) {
  if (name == "__extendhfsf2") return reinterpret_cast<void*>(extend_half);
  if (name == "__truncsfhf2") return reinterpret_cast<void*>(truncate_float);
  if (name == "__truncdfhf2") return reinterpret_cast<void*>(truncate_double);
  return nullptr;
}

// Pages for code, cut from large mappings that stay. Those that nobody has are executable or out of
// reach, and hold nothing.
class Pages {
 public:
  char* take(size_t bytes) {
    auto run = std::find_if(free_.begin(), free_.end(),
                            [&](const auto& run) { return run.second >= bytes; });
    if (run == free_.end()) run = reserve(bytes);
    auto [base, left] = *run;
    free_.erase(run);
    if (left > bytes) free_.emplace(base + bytes, left - bytes);
    return base;
  }

  void give_back(char* base, size_t bytes) {
    madvise(base, bytes, MADV_DONTNEED);
    auto next = free_.lower_bound(base);
    if (next != free_.end() && next->first == base + bytes) {
      bytes += next->second;
      next = free_.erase(next);
    }
    if (next != free_.begin()) {
      auto before = std::prev(next);
      if (before->first + before->second == base) {
        before->second += bytes;
        return;
      }
    }
    free_.emplace_hint(next, base, bytes);
  }

 private:
  static constexpr size_t kReserved = size_t(4) << 20;

  std::map<char*, size_t>::iterator reserve(size_t bytes) {
    bytes = std::max(bytes, kReserved);
    void* base = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) throw std::bad_alloc();
    return free_.emplace(static_cast<char*>(base), bytes).first;
  }

  std::map<char*, size_t> free_;  // by address; no two of them meet
};

// Never destroyed: programs may outlive it.
Pages& pages() {
  static Pages& all = *new Pages;
  return all;
}

class File {
 public:
  explicit File(std::string_view bytes) : bytes_(bytes) {
    const auto head = one<Elf64_Ehdr>(0);
    if (std::memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64 ||
        head.e_type != ET_REL || head.e_machine != EM_X86_64)
      refuse("no relocatable ELF file for x86-64");
    sections_ = array<Elf64_Shdr>(head.e_shoff, head.e_shnum);
    section_names_ = contents(section(head.e_shstrndx));
    for (const Elf64_Shdr& s : sections_) {
      if (s.sh_type != SHT_SYMTAB) continue;
      symbols_ = array<Elf64_Sym>(s.sh_offset, s.sh_size / sizeof(Elf64_Sym));
      names_ = contents(section(s.sh_link));
    }
  }

  const std::vector<Elf64_Shdr>& sections() const { return sections_; }
  const std::vector<Elf64_Sym>& symbols() const { return symbols_; }

  const Elf64_Shdr& section(size_t i) const {
    if (i >= sections_.size()) refuse("a section that there is not");
    return sections_[i];
  }
  const Elf64_Sym& symbol(size_t i) const {
    if (i >= symbols_.size()) refuse("a symbol that there is not");
    return symbols_[i];
  }
  std::string name(const Elf64_Shdr& s) const { return name_at(section_names_, s.sh_name); }
  std::string name(const Elf64_Sym& s) const { return name_at(names_, s.st_name); }
  std::string_view contents(const Elf64_Shdr& section) const {
    return part(section.sh_offset, section.sh_size);
  }
  std::vector<Elf64_Rela> relocations(const Elf64_Shdr& section) const {
    return array<Elf64_Rela>(section.sh_offset, section.sh_size / sizeof(Elf64_Rela));
  }

 private:
  static std::string name_at(std::string_view names, size_t at) {
    if (at >= names.size()) refuse("a name that there is not");
    std::string_view rest = names.substr(at);
    return std::string(rest.substr(0, rest.find('\0')));
  }
  std::string_view part(size_t offset, size_t size) const {
    if (offset > bytes_.size() || size > bytes_.size() - offset) refuse("it is cut off");
    return bytes_.substr(offset, size);
  }
  template <class T>
  T one(size_t offset) const {
    T made;
    std::memcpy(&made, part(offset, sizeof made).data(), sizeof made);
    return made;
  }
  template <class T>
  std::vector<T> array(size_t offset, size_t count) const {
    if (count > bytes_.size()) refuse("it is cut off");
    std::vector<T> made(count);
    std::string_view from = part(offset, count * sizeof(T));
    if (count) std::memcpy(made.data(), from.data(), from.size());
    return made;
  }

  std::string_view bytes_, names_, section_names_;
  std::vector<Elf64_Shdr> sections_;
  std::vector<Elf64_Sym> symbols_;
};

// What a program occupies of a file: unwinding tables and notes are not for it.
bool is_loaded(const Elf64_Shdr& s) {
  return (s.sh_flags & SHF_ALLOC) && s.sh_size && s.sh_type != SHT_X86_64_UNWIND;
}

constexpr size_t kLargest = size_t(1) << 30;  // which all distances within a program fit
constexpr size_t kJumpBytes = 16;
constexpr size_t kAddressAt = 8;  // in a jump: what the instruction reads

// Where functions are that files of a program call, counted from the beginning of its memory.
using Offsets = std::unordered_map<std::string, size_t>;

// Where everything of a file goes, counted from the beginning of the program's memory.
class Image {
 public:
  Image(const File& file, size_t start)
      : file_(file), at_(file.sections().size(), kNowhere), end_(start) {
    for (bool code : {false, true}) {
      for (size_t i = 0; i < at_.size(); ++i) {
        const Elf64_Shdr& s = file.section(i);
        if (is_loaded(s) && bool(s.sh_flags & SHF_EXECINSTR) == code) place(i, s);
      }
    }
    jumps_at_ = rounded_up(end_, kJumpBytes);
    for (const Elf64_Sym& s : file.symbols())
      if (is_foreign(s)) jump_of_.try_emplace(file.name(s), jumps_at_ + kJumpBytes * jump_of_.size());
    end_ = jumps_at_ + kJumpBytes * jump_of_.size();
  }

  // Where the next file may start.
  size_t end() const { return end_; }

  // Adds the functions that others may call; one that is called `function` has the given name.
  void add_functions(const std::string& name, Offsets& offsets) const {
    for (const Elf64_Sym& s : file_.symbols()) {
      if (ELF64_ST_BIND(s.st_info) != STB_GLOBAL || s.st_shndx == SHN_UNDEF) continue;
      std::string own = file_.name(s);
      if (!name.empty() && own == "function") own = name;
      if (!offsets.emplace(own, offset_of(s)).second) refuse("it has '" + own + "' twice");
    }
  }

  // The contents as they are to be once they lie at `base`, which they are written to.
  void write(char* base, const Offsets& others) const {
    for (size_t i = 0; i < at_.size(); ++i) {
      if (at_[i] == kNowhere) continue;
      std::string_view from = file_.contents(file_.section(i));
      std::memcpy(base + at_[i], from.data(), from.size());
    }
    for (const auto& [name, at] : jump_of_) {
      auto other = others.find(name);
      write_jump(base + at, name, other == others.end() ? 0 : uint64_t(base) + other->second);
    }
    for (const Elf64_Shdr& s : file_.sections()) {
      if (s.sh_type == SHT_REL) refuse("relocations without addends");
      if (s.sh_type != SHT_RELA || !is_loaded(file_.section(s.sh_info))) continue;
      for (const Elf64_Rela& r : file_.relocations(s)) relocate(base, s.sh_info, r, others);
    }
  }

 private:
  static constexpr size_t kNowhere = ~size_t(0);

  size_t offset_of(const Elf64_Sym& symbol) const {
    if (symbol.st_shndx >= at_.size() || at_[symbol.st_shndx] == kNowhere)
      refuse("the address of '" + file_.name(symbol) + "' is not within it");
    return at_[symbol.st_shndx] + symbol.st_value;
  }

  static bool is_foreign(const Elf64_Sym& s) {
    return s.st_shndx == SHN_UNDEF && ELF64_ST_BIND(s.st_info) != STB_LOCAL;
  }

  void place(size_t i, const Elf64_Shdr& s) {
    if (s.sh_type != SHT_PROGBITS || (s.sh_flags & SHF_TLS)) refuse("a section of unknown type");
    // What holds addresses is constant once they are known.
    if ((s.sh_flags & SHF_WRITE) && file_.name(s).rfind(".data.rel.ro", 0) != 0)
      refuse("data that are not constant");
    if (s.sh_addralign > page_bytes() || s.sh_size > kLargest) refuse("a section that is too large");
    at_[i] = rounded_up(end_, std::max<size_t>(s.sh_addralign, 1));
    end_ = at_[i] + s.sh_size;
    if (end_ > kLargest) refuse("it is too large");
  }

  // jmp *2(%rip), two bytes of nothing, and the address that it reads.
  static void write_jump(char* to, const std::string& name, uint64_t function) {
    static constexpr unsigned char kJump[kAddressAt] = {0xff, 0x25, 2, 0, 0, 0, 0x66, 0x90};
    if (!function) function = uint64_t(own_function(name));
    if (!function) function = uint64_t(dlsym(RTLD_DEFAULT, name.c_str()));
    if (!function) refuse("it calls '" + name + "', which this process does not have");
    std::memcpy(to, kJump, sizeof kJump);
    std::memcpy(to + kAddressAt, &function, sizeof function);
  }

  void relocate(char* base, size_t target, const Elf64_Rela& r, const Offsets& others) const {
    const Elf64_Sym& symbol = file_.symbol(ELF64_R_SYM(r.r_info));
    const auto type = ELF64_R_TYPE(r.r_info);
    const size_t size = type == R_X86_64_64 || type == R_X86_64_PC64 ? 8 : 4;
    const Elf64_Shdr& section = file_.section(target);
    if (r.r_offset > section.sh_size || size > section.sh_size - r.r_offset)
      refuse("a reference beside a section");
    char* place = base + at_[target] + r.r_offset;
    char* jump = is_foreign(symbol) ? base + jump_of_.at(file_.name(symbol)) : nullptr;
    // Functions of the program are near.
    auto other = jump ? others.find(file_.name(symbol)) : others.end();
    int64_t value;
    switch (type) {
      case R_X86_64_64:
      case R_X86_64_PC64:
      case R_X86_64_PC32:
      case R_X86_64_PLT32:
        if (other != others.end())
          value = int64_t(uint64_t(base) + other->second);
        else
          value = jump ? int64_t(jump) : int64_t(uint64_t(base) + offset_of(symbol));
        break;
      case R_X86_64_GOTPCREL:
      case R_X86_64_GOTPCRELX:
      case R_X86_64_REX_GOTPCRELX:
        // The place of a function's address, which for those of others is within the jump.
        if (jump) {
          value = int64_t(jump) + kAddressAt;
          break;
        }
        [[fallthrough]];
      default:
        refuse("relocations of type " + std::to_string(type));
    }
    value += r.r_addend - (type == R_X86_64_64 ? 0 : int64_t(place));
    std::memcpy(place, &value, size);
  }

  const File& file_;
  std::vector<size_t> at_;
  size_t end_ = 0, jumps_at_ = 0;
  std::unordered_map<std::string, size_t> jump_of_;
};

}  // namespace

LoadedCode::LoadedCode(const std::vector<ObjectFile>& objects, const std::string& entry) {
  std::vector<File> files;
  std::vector<Image> images;
  files.reserve(objects.size());  // images refer to them
  Offsets functions;
  size_t end = 0;
  for (const ObjectFile& object : objects) {
    files.emplace_back(object.bytes);
    images.emplace_back(files.back(), end);
    images.back().add_functions(object.name, functions);
    end = images.back().end();
  }
  auto found = functions.find(entry);
  if (found == functions.end()) refuse("it has no '" + entry + "'");
  bytes_ = rounded_up(std::max<size_t>(end, 1), page_bytes());
  base_ = pages().take(bytes_);
  address_ = uint64_t(base_) + found->second;
  try {
    if (mprotect(base_, bytes_, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
    for (const Image& image : images) image.write(base_, functions);
    if (mprotect(base_, bytes_, PROT_READ | PROT_EXEC) != 0) throw std::bad_alloc();
  } catch (...) {
    pages().give_back(base_, bytes_);
    throw;
  }
}

LoadedCode::~LoadedCode() { pages().give_back(base_, bytes_); }

}  // namespace covector

#else

namespace covector {

LoadedCode::LoadedCode(const std::vector<ObjectFile>&, const std::string&) {
  throw std::invalid_argument("object code for x86-64 alone can be loaded");
}
LoadedCode::~LoadedCode() = default;

}  // namespace covector

#endif
