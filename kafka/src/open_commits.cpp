#include "open_commits.h"

#include <algorithm>
#include <mutex>
#include <utility>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

std::uint64_t OpenCommits::add(OpenCommit& commit, List& displaced) noexcept {
  List added;
  try {
    added.emplace_back();
  } catch (...) {
    return 0;
  }
  added.front() = std::move(commit);
  const std::lock_guard guard(lock_);
  if (open_.size() >= max_open) displaced.splice(displaced.end(), open_, open_.begin());
  added.front().number = ++numbered_;
  open_.splice(open_.end(), added);
  return numbered_;
}

bool OpenCommits::take(std::uint64_t number, List& taken) noexcept {
  const std::lock_guard guard(lock_);
  const auto found =
      std::find_if(open_.begin(), open_.end(), [=](const OpenCommit& open) { return open.number == number; });
  if (found == open_.end()) return false;
  taken.splice(taken.end(), open_, found);
  return true;
}

OpenCommits::Reported OpenCommits::report(std::uint64_t print, const CommitFacts& facts,
                                          List& taken) noexcept {
  const std::lock_guard guard(lock_);
  const auto find = [this](std::uint64_t wanted) {
    return std::find_if(open_.begin(), open_.end(),
                        [wanted](const OpenCommit& open) { return open.print == wanted && !open.answered; });
  };
  auto found = find(print);
  if (found == open_.end() && print != 0) found = find(0);
  if (found == open_.end()) return Reported::unknown;
  if (found->waits) {
    found->facts = facts;
    found->answered = true;
    return Reported::waits;
  }
  taken.splice(taken.end(), open_, found);
  return Reported::taken;
}

void OpenCommits::take_all(List& taken) noexcept {
  const std::lock_guard guard(lock_);
  taken.splice(taken.end(), open_);
}

std::size_t OpenCommits::size() noexcept {
  const std::lock_guard guard(lock_);
  return open_.size();
}

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
