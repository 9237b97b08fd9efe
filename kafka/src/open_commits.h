// OpenCommits: the commits of one consumer that wait for librdkafka to report their answer.
//
// Reports name offsets, not calls. librdkafka answers in order, so a report belongs to the oldest commit of
// the same offsets, else to the oldest one that waits for the commit of "what is stored". One of those that
// does not wait is not kept: where nothing was to be committed librdkafka reports nothing, so that each later
// report would be taken for that of the one before.
//
// Any thread. The lock is held for a few comparisons; memory is allocated and freed outside of it. At most
// `max_open` are kept; the oldest makes way.
#pragma once

#include <librdkafka/rdkafka.h>

#include <cstddef>
#include <cstdint>
#include <list>

#include "trace/spin_lock.h"

#include <midtrace/trace/span.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

class Topic;

// What is known of a commit.
struct CommitFacts {
  const Topic* topic = nullptr;  // the nameless one for several
  std::int32_t partition = -1;   // of the only one, else negative
  std::int64_t offset = -1;
  rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
};

struct OpenCommit {
  std::uint64_t print = 0;  // CommitContent::print(); 0: what is stored, and then it waits
  bool waits = false;       // the caller ends the span itself
  Span span;                // not of those that wait
  CommitFacts facts;
  bool answered = false;     // of those that wait: `facts` are the report's
  std::uint64_t number = 0;  // given by add()
};

class OpenCommits {
 public:
  // Most of the time empty or of one; spliced, so that nothing is allocated where none can be.
  using List = std::list<OpenCommit>;

  // The number to find it by. The oldest one is put into `displaced` when there are too many. 0 when there is
  // no memory for it; it then stays with the caller.
  std::uint64_t add(OpenCommit& commit, List& displaced) noexcept;
  // Takes one out; false when it was reported.
  bool take(std::uint64_t number, List& taken) noexcept;

  enum class Reported : std::uint8_t { unknown, waits, taken };
  // A report: notes the facts with a commit that waits, takes out any other.
  Reported report(std::uint64_t print, const CommitFacts& facts, List& taken) noexcept;
  void take_all(List& taken) noexcept;

  std::size_t size() noexcept;

  static constexpr std::size_t max_open = 1024;

 private:
  SpinLock lock_;
  List open_;  // oldest first
  std::uint64_t numbered_ = 0;
};

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
