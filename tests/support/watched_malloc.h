// Memory that can be taken away: counts a thread's allocations, and lets them fail.
//
// Programs that use it link with --wrap=malloc and --wrap=_Znwm (operator new), so that the calls of the code
// under test come here, under a sanitizer as well. Calls from inside shared libraries are not seen.
#pragma once

#include <cstddef>

namespace midtrace::test {

// Allocations by this thread since it started.
std::size_t allocations() noexcept;

// While it lives malloc gives this thread nothing, and operator new throws.
class NoMemory {
 public:
  NoMemory() noexcept;
  ~NoMemory();
  NoMemory(const NoMemory&) = delete;
  NoMemory& operator=(const NoMemory&) = delete;
};

}  // namespace midtrace::test
