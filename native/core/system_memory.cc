// The machine's memory and the limits of control groups, which nest: the smallest holds.
#include "core/system_memory.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>

namespace covector {
namespace {

// A number in a file; the largest where there is none ("max").
size_t number_in(const std::string& path) {
  unsigned long long value = ~0ull;
  if (FILE* f = std::fopen(path.c_str(), "re")) {
    if (std::fscanf(f, "%llu", &value) != 1) value = ~0ull;
    std::fclose(f);
  }
  return size_t(value);
}

// The smallest limit of a group and those around it. Inside a container the path may be that of
// the host, of which only the root is visible.
size_t limit_of_group(const std::string& root, std::string group, const char* file) {
  size_t limit = number_in(root + "/" + file);
  while (group.size() > 1) {
    limit = std::min(limit, number_in(root + group + "/" + file));
    group.erase(group.rfind('/'));
  }
  return limit;
}

size_t limit_of_groups() {
  size_t limit = ~size_t(0);
  FILE* f = std::fopen("/proc/self/cgroup", "re");
  if (!f) return limit;
  char line[4096];
  while (std::fgets(line, sizeof line, f)) {
    line[std::strcspn(line, "\n")] = 0;
    // "number:controllers:path"; the second version of control groups has no controllers here.
    char* controllers = std::strchr(line, ':');
    char* path = controllers ? std::strchr(controllers + 1, ':') : nullptr;
    if (!path || path[1] != '/') continue;
    *path++ = 0;
    ++controllers;
    size_t found = ~size_t(0);
    if (!*controllers)
      found = limit_of_group("/sys/fs/cgroup", path, "memory.max");
    else if (std::strstr(controllers, "memory"))
      found = limit_of_group("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes");
    limit = std::min(limit, found);
  }
  std::fclose(f);
  return limit;
}

}  // namespace

size_t memory_limit() {
  size_t pages = size_t(std::max(1L, sysconf(_SC_PHYS_PAGES)));
  size_t ram = pages * size_t(sysconf(_SC_PAGESIZE));
#ifdef __linux__
  return std::min(ram, limit_of_groups());
#else
  return ram;
#endif
}

}  // namespace covector
