// What this module remembers per thread: the last send (to match reports that come inside a produce call),
// and buffers that are used again. What all messaging modules remember is in messaging/thread_state.h; which
// of the two is freed first is open, so neither leads to the other.
//
// One trivial thread-local pointer leads to it, and a pthread key frees it when the thread ends: the module
// may live in a plugin, where nothing may have a thread_local destructor. A call that comes after that (from
// a later key's destructor) makes a new one, which is freed in turn. Only the thread itself touches its
// state.
#pragma once

#include <librdkafka/rdkafka.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "messaging/field_buffer.h"

#include <midtrace/trace/types.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

class BatchSend;
class Topic;

// The last message of this thread that went through on_send.
struct LastSend {
  std::uint64_t client = 0;
  const rd_kafka_message_t* message = nullptr;
  rd_kafka_headers_t* changed = nullptr;  // the application's list, when our fields went into it
  bool open = false;                      // still inside the produce call, as far as we know
};

// A header that had to make way for ours, to be put back when the produce call fails.
struct SavedHeader {
  std::size_t name;  // offsets in the text
  std::size_t value;
  std::size_t value_length;
  bool is_null;
};

// The sends of one produce_batch() call, in order.
struct BatchSends {
  struct Sampled {
    std::uint32_t ordinal;
    const rd_kafka_message_t* message;
  };
  std::uint32_t count = 0;
  std::vector<Sampled> sampled;
  std::uint64_t client = 0;           // whose they are: a hook may send something through another one
  std::shared_ptr<BatchSend> common;  // with a `create` span for each message; null without
  std::vector<Link> created;          // then: the contexts of the messages
};

struct LinkBuffers {
  std::vector<Link> links;
  std::vector<Attribute> attributes;
  std::vector<std::array<char, 12>> partitions;
  // Only where there are more contexts than links: one for each that differs, and a hash table of them.
  struct Distinct {
    std::uint32_t delivery;
    bool shared;  // by several messages
  };
  std::vector<Distinct> distinct;
  std::vector<std::uint32_t> slots;
  std::vector<std::uint64_t> prints;  // of one batch
};

struct ThreadState {
  // What every send touches comes first, close together.
  std::uint64_t sends = 0;     // calls of on_send
  unsigned wrapper_depth = 0;  // inside consume(): on_consume stays silent
  BatchSends* batch = nullptr;
  LastSend last;
  std::uint64_t topic_client = 0;  // the topic found last, and its client
  const Topic* topic = nullptr;
  std::vector<SavedHeader> saved;
  messaging::FieldBuffer fields;

  std::string saved_text;
  LinkBuffers buffers;
};

// Null when there is no memory for it.
ThreadState* thread_state() noexcept;
// The same without making one.
ThreadState* existing_thread_state() noexcept;

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
