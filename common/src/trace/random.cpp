#include "random.h"

#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <cstring>

namespace midtrace {
inline namespace v1 {

namespace {

std::uint64_t mix(std::uint64_t& state) noexcept {
  state += 0x9E3779B97F4A7C15U;
  std::uint64_t z = state;
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31U);
}

}  // namespace

void Random::seed(std::uint64_t salt) noexcept {
  std::uint64_t entropy[4] = {};
  // GRND_NONBLOCK: early in boot the kernel would make us wait.
  if (getrandom(entropy, sizeof(entropy), GRND_NONBLOCK) != static_cast<ssize_t>(sizeof(entropy))) {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    entropy[0] ^= static_cast<std::uint64_t>(now.tv_nsec) ^ (static_cast<std::uint64_t>(now.tv_sec) << 30U);
    entropy[1] ^= static_cast<std::uint64_t>(getpid());
    entropy[2] ^= reinterpret_cast<std::uintptr_t>(&now);
  }
  std::uint64_t state = entropy[0] ^ (salt * 0xD1342543DE82EF95U);
  for (int i = 0; i < 4; ++i)
    state_[i] = mix(state) ^ entropy[i];
  if ((state_[0] | state_[1] | state_[2] | state_[3]) == 0) state_[0] = 1;
}

}  // namespace v1
}  // namespace midtrace
