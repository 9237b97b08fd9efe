// Random: the id source of one thread, xoshiro256++ seeded by the kernel.
//
// 32 bytes without a destructor. Not for secrets. Source: Blackman and Vigna, "Scrambled Linear Pseudorandom
// Number Generators" (the algorithm is in the public domain).
#pragma once

#include <bit>
#include <cstdint>

namespace midtrace {
inline namespace v1 {

class Random {
 public:
  // Reads the kernel's entropy; without it, falls back to clock and addresses. `salt` keeps two threads apart
  // then.
  void seed(std::uint64_t salt) noexcept;

  std::uint64_t next() noexcept {
    const std::uint64_t result = std::rotl(state_[0] + state_[3], 23) + state_[0];
    const std::uint64_t shifted = state_[1] << 17U;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }
  // Ids must not be zero.
  std::uint64_t next_nonzero() noexcept {
    std::uint64_t value = next();
    while (value == 0)
      [[unlikely]] value = next();
    return value;
  }

 private:
  std::uint64_t state_[4] = {};
};

}  // namespace v1
}  // namespace midtrace
