// Where the members of our declarations lie.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace covector::pjrt {

struct Member {
  std::string structure, name;  // as the plugins' header calls them
  size_t offset, size;
};
std::vector<Member> members();

}  // namespace covector::pjrt
