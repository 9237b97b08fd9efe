// process_each(): a process span for each message of a batch, for consumers that handle one after the other.
//
//   for (auto& work : midtrace::kafka::process_each(batch)) handle(*work);
//
// Each round of the loop is the scope of one message, as process(message) would open it: its span continues
// the message's trace (Options::relation), is current on this thread with the message's baggage, and ends
// before the next round begins or when the loop is left. An exception that leaves the loop makes the span of
// its round an error. An error or event that came as a message has a round like any other, but no span.
//
// The range is one loop's: it belongs to one thread, is not moved, and is walked once, forwards. The batch
// must stay where it is meanwhile. Nothing here throws.
#pragma once

#include <cstddef>
#include <iterator>
#include <optional>
#include <string_view>

#include <midtrace/kafka/message.h>
#include <midtrace/kafka/process.h>
#include <midtrace/trace/span.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {

template <class Handle>
class ProcessEach;

// One message while it is processed: the library's own object by `->`, `*`, get().
template <class Handle>
class ProcessedMessage {
 public:
  ProcessedMessage(const ProcessedMessage&) = delete;
  ProcessedMessage& operator=(const ProcessedMessage&) = delete;

  Handle* get() const noexcept { return message_.get(); }
  Handle* operator->() const noexcept { return get(); }
  Handle& operator*() const noexcept { return *get(); }
  const BatchMessage<Handle>& message() const noexcept { return message_; }

  Span& span() noexcept { return scope_.span(); }
  void set_error(std::string_view error_type, std::string_view description = {}) noexcept {
    scope_.set_error(error_type, description);
  }
  // For work that goes on elsewhere: ends the scope of this round, not the span.
  ProcessSpan detach() noexcept { return scope_.detach(); }

  // Made by process_each() alone.
  explicit ProcessedMessage(const BatchMessage<Handle>& message) noexcept
      : message_(message),
        scope_(detail::start_process({&detail::Access::delivery(message), 1U},
                                     detail::Access::client(message), false)) {}

 private:
  BatchMessage<Handle> message_;
  ProcessScope scope_;
};

template <class Handle>
class [[nodiscard]] ProcessEach {
 public:
  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = ProcessedMessage<Handle>;
    using difference_type = std::ptrdiff_t;
    using pointer = value_type*;
    using reference = value_type&;

    reference operator*() const noexcept { return each_->open(); }
    pointer operator->() const noexcept { return &each_->open(); }
    Iterator& operator++() noexcept {
      each_->next();
      return *this;
    }
    void operator++(int) noexcept { each_->next(); }
    friend bool operator==(const Iterator& at, std::default_sentinel_t) noexcept { return at.over(); }

   private:
    friend ProcessEach;
    explicit Iterator(ProcessEach* each) noexcept : each_(each) {}
    bool over() const noexcept { return each_->over(); }
    ProcessEach* each_;
  };

  explicit ProcessEach(const BasicBatch<Handle>& batch) noexcept : batch_(&batch) {}
  ProcessEach(const ProcessEach&) = delete;
  ProcessEach& operator=(const ProcessEach&) = delete;

  Iterator begin() noexcept { return Iterator(this); }
  std::default_sentinel_t end() const noexcept { return {}; }

 private:
  bool over() const noexcept { return index_ >= batch_->size(); }
  ProcessedMessage<Handle>& open() noexcept {
    if (!round_.has_value()) round_.emplace((*batch_)[index_]);
    return *round_;
  }
  void next() noexcept {
    round_.reset();
    ++index_;
  }

  const BasicBatch<Handle>* batch_;
  std::size_t index_ = 0;
  std::optional<ProcessedMessage<Handle>> round_;
};

template <class Handle>
ProcessEach<Handle> process_each(const BasicBatch<Handle>& batch) noexcept {
  return ProcessEach<Handle>(batch);
}
// A batch that nobody keeps would be gone before the first round: give it a name.
template <class Handle>
void process_each(BasicBatch<Handle>&& batch) = delete;

}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
