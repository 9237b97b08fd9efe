// Message and Batch: consumed messages together with the trace contexts they carried.
//
// Both own what librdkafka handed out and destroy it; both are movable and may be handed to another thread.
// The contexts are read when the messages are received, so it does not matter whether the application
// detaches the headers later (the C++ API and every forwarder do). BasicMessage<rd_kafka_message_t> and
// BasicMessage<RdKafka::Message> give the library's own object by `->`, `*`, get(). Destroy messages before
// their consumer, as librdkafka asks.
#pragma once

#include <librdkafka/rdkafka.h>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include <midtrace/context/context.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {

namespace detail {

class Client;
struct Access;

// One received message and the context it carried.
struct Delivery {
  const rd_kafka_message_t* message = nullptr;
  Context creation = {};       // its span is invalid when the message carried none
  std::uint64_t print = 0;     // tells the context in the headers from others, also an ignored one; 0: none
  bool traced = true;          // false: of a topic without spans
  std::uint64_t received = 0;  // when, in ticks; 0: not asked
  std::int64_t lag = -1;       // messages behind it in the partition, as far as known; else negative
};

// How the two APIs hand out messages.
template <class Handle>
struct MessageApi;

template <>
struct MessageApi<rd_kafka_message_t> {
  static void destroy(rd_kafka_message_t* message) noexcept { rd_kafka_message_destroy(message); }
};

template <class Handle>
struct DestroyMessage {
  void operator()(Handle* message) const noexcept { MessageApi<Handle>::destroy(message); }
};

template <class Handle>
using OwnedMessage = std::unique_ptr<Handle, DestroyMessage<Handle>>;

}  // namespace detail

template <class Handle>
class BasicMessage {
 public:
  // No message: what a consume() that timed out returns.
  BasicMessage() noexcept = default;

  explicit operator bool() const noexcept { return message_ != nullptr; }
  Handle* get() const noexcept { return message_.get(); }
  Handle* operator->() const noexcept { return message_.get(); }
  Handle& operator*() const noexcept { return *message_; }
  // Gives the message to the caller, who destroys it.
  Handle* release() noexcept {
    delivery_.message = nullptr;
    return message_.release();
  }

  // What the message carried, as far as the options let it in; its span is invalid when there was none, or
  // none that is well formed.
  const Context& creation_context() const noexcept { return delivery_.creation; }

 private:
  friend detail::Access;
  BasicMessage(detail::OwnedMessage<Handle> message, detail::Delivery delivery,
               std::shared_ptr<detail::Client> client) noexcept
      : message_(std::move(message)), delivery_(std::move(delivery)), client_(std::move(client)) {}

  detail::OwnedMessage<Handle> message_;
  detail::Delivery delivery_;
  std::shared_ptr<detail::Client> client_;
};

template <class Handle>
class BasicBatch;

// One message of a batch, which stays the owner. Valid as long as the batch is neither moved nor destroyed.
template <class Handle>
class BatchMessage {
 public:
  Handle* get() const noexcept { return batch_->messages_[index_].get(); }
  Handle* operator->() const noexcept { return get(); }
  Handle& operator*() const noexcept { return *get(); }
  const Context& creation_context() const noexcept { return batch_->deliveries_[index_].creation; }

 private:
  friend BasicBatch<Handle>;
  friend detail::Access;
  BatchMessage(const BasicBatch<Handle>* batch, std::size_t index) noexcept : batch_(batch), index_(index) {}

  const BasicBatch<Handle>* batch_;
  std::size_t index_;
};

template <class Handle>
class BasicBatch {
 public:
  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = BatchMessage<Handle>;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = BatchMessage<Handle>;

    BatchMessage<Handle> operator*() const noexcept { return (*batch_)[index_]; }
    Iterator& operator++() noexcept {
      ++index_;
      return *this;
    }
    Iterator operator++(int) noexcept {
      Iterator before = *this;
      ++index_;
      return before;
    }
    friend bool operator==(const Iterator&, const Iterator&) noexcept = default;

   private:
    friend BasicBatch;
    Iterator(const BasicBatch* batch, std::size_t index) noexcept : batch_(batch), index_(index) {}
    const BasicBatch* batch_;
    std::size_t index_;
  };

  BasicBatch() noexcept = default;

  bool empty() const noexcept { return messages_.empty(); }
  std::size_t size() const noexcept { return messages_.size(); }
  BatchMessage<Handle> operator[](std::size_t index) const noexcept { return {this, index}; }
  Iterator begin() const noexcept { return {this, 0}; }
  Iterator end() const noexcept { return {this, messages_.size()}; }

 private:
  friend BatchMessage<Handle>;
  friend detail::Access;

  std::vector<detail::OwnedMessage<Handle>> messages_;
  std::vector<detail::Delivery> deliveries_;  // one for each message
  std::shared_ptr<detail::Client> client_;
};

// Of the C API.
using Message = BasicMessage<rd_kafka_message_t>;
using Batch = BasicBatch<rd_kafka_message_t>;

namespace detail {

// The way of the library's own functions into messages and batches.
struct Access {
  template <class Handle>
  static BasicMessage<Handle> message(OwnedMessage<Handle> message, Delivery delivery,
                                      std::shared_ptr<Client> client) noexcept {
    return {std::move(message), std::move(delivery), std::move(client)};
  }
  // Room for one more message, so that append() cannot fail once librdkafka has handed it out.
  template <class Handle>
  static bool make_room(BasicBatch<Handle>& batch) noexcept {
    if (batch.messages_.size() < batch.messages_.capacity() &&
        batch.deliveries_.size() < batch.deliveries_.capacity()) {
      return true;
    }
    return reserve(batch, batch.messages_.size() < 32 ? 64 : batch.messages_.size() * 2);
  }
  template <class Handle>
  static bool reserve(BasicBatch<Handle>& batch, std::size_t count) noexcept {
    try {
      batch.messages_.reserve(count);
      batch.deliveries_.reserve(count);
      return true;
    } catch (...) {
      return false;
    }
  }
  template <class Handle>
  static void append(BasicBatch<Handle>& batch, OwnedMessage<Handle> message, Delivery delivery) noexcept {
    batch.messages_.push_back(std::move(message));
    batch.deliveries_.push_back(std::move(delivery));
  }
  template <class Handle>
  static const std::vector<Delivery>& deliveries(const BasicBatch<Handle>& batch) noexcept {
    return batch.deliveries_;
  }
  template <class Handle>
  static std::vector<Delivery>& deliveries(BasicBatch<Handle>& batch) noexcept {
    return batch.deliveries_;
  }
  template <class Handle>
  static std::shared_ptr<Client>& client(BasicBatch<Handle>& batch) noexcept {
    return batch.client_;
  }
  template <class Handle>
  static const std::shared_ptr<Client>& client(const BasicBatch<Handle>& batch) noexcept {
    return batch.client_;
  }
  template <class Handle>
  static const Delivery& delivery(const BasicMessage<Handle>& message) noexcept {
    return message.delivery_;
  }
  template <class Handle>
  static const std::shared_ptr<Client>& client(const BasicMessage<Handle>& message) noexcept {
    return message.client_;
  }
  template <class Handle>
  static const Delivery& delivery(const BatchMessage<Handle>& message) noexcept {
    return message.batch_->deliveries_[message.index_];
  }
  template <class Handle>
  static const std::shared_ptr<Client>& client(const BatchMessage<Handle>& message) noexcept {
    return message.batch_->client_;
  }
};

}  // namespace detail

}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
