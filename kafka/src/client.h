// Client: the tracing state of one rd_kafka_t, from its creation until its configuration object is destroyed
// (which librdkafka does last, after the last delivery report), or longer while messages or spans of it are
// held.
//
// Its facts are read from the configuration once. The client's own name may only be asked for after on_new,
// so it is learned at the first call that may. Any thread.
#pragma once

#include <librdkafka/rdkafka.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "kept_statistics.h"
#include "open_commits.h"
#include "open_sends.h"
#include "ready_options.h"
#include "thread_state.h"
#include "topics.h"

#include "messaging/detached_span.h"
#include "messaging/settings.h"
#include "trace/spin_lock.h"

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

class Client {
 public:
  // `conf` may be null: a client of which nothing is known.
  Client(std::shared_ptr<const ReadyOptions> options, const rd_kafka_conf_t* conf);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Never 0, and never used again.
  std::uint64_t id() const noexcept { return id_; }
  const ReadyOptions& options() const noexcept { return *options_; }

  // Calls rd_kafka_name() the first time.
  void learn_name(const rd_kafka_t* handle) noexcept {
    if (!named_.load(std::memory_order_acquire)) ask_name(handle);
  }
  // Asks librdkafka for what it knows without waiting, at most once a second until it is known. Not from
  // interceptors.
  void learn_cluster_id(rd_kafka_t* handle) noexcept {
    if (cluster_id_.load(std::memory_order_relaxed) == nullptr) ask_cluster_id(handle);
  }

  // The configured client.id, else the client's own unique name; empty when neither is known.
  std::string_view client_id() const noexcept { return client_id_; }
  std::string_view group() const noexcept { return group_; }
  const messaging::ServerAddress& server() const noexcept { return server_; }
  // Whether any of its topics may have TopicSwitches.
  bool has_topic_rules() const noexcept { return topic_rules_.any(); }
  std::size_t message_max_bytes() const noexcept { return message_max_bytes_; }
  std::string_view cluster_id() const noexcept {
    const std::string* known = cluster_id_.load(std::memory_order_acquire);
    return known != nullptr ? std::string_view(*known) : std::string_view();
  }

  // Only after learn_name().
  const Topic& topic(std::string_view name, ThreadState* thread) const noexcept {
    if (thread != nullptr && thread->topic_client == id_ && thread->topic->name() == name)
      return *thread->topic;
    const Topic& found = topics_.find_or_add(name);
    if (thread != nullptr && !name.empty() && found.name() == name) {
      thread->topic_client = id_;
      thread->topic = &found;
    }
    return found;
  }
  // Null when there is no memory for it.
  const PreparedSpan* prepared(const Topic& topic, Operation operation) const noexcept {
    const PreparedSpan* known =
        topic.prepared_[static_cast<std::size_t>(operation)].load(std::memory_order_acquire);
    return known != nullptr ? known : prepare(topic, operation);
  }

  OpenSends& open_sends() noexcept { return open_sends_; }
  messaging::DetachedSpans& detached_spans() noexcept { return detached_spans_; }
  KeptStatistics& kept_statistics() noexcept { return kept_statistics_; }

  OpenCommits& open_commits() noexcept { return open_commits_; }
  // Whether our interceptor hears of commits. Set before the client is known to other threads.
  void set_reports_commits() noexcept { reports_commits_ = true; }
  bool reports_commits() const noexcept { return reports_commits_; }
  // Whether a second copy of midtrace in this process has to leave the handle alone.
  void set_claimed(const rd_kafka_t* handle) noexcept { claimed_ = handle; }
  const rd_kafka_t* claimed() const noexcept { return claimed_; }
  // Whether this copy has to, because the interceptors of another one see the messages.
  void set_traced_elsewhere() noexcept { traced_elsewhere_ = true; }
  bool traced_elsewhere() const noexcept { return traced_elsewhere_; }
  // Whether those make the poll spans, and those of all commits. Asked once, before the client is known to
  // other threads.
  void ask_elsewhere(const rd_kafka_t* handle) noexcept;
  bool polled_elsewhere() const noexcept { return polled_elsewhere_; }
  bool committed_elsewhere() const noexcept { return committed_elsewhere_; }

 private:
  void ask_name(const rd_kafka_t* handle) noexcept;
  void ask_cluster_id(rd_kafka_t* handle) noexcept;
  const PreparedSpan* prepare(const Topic& topic, Operation operation) const noexcept;

  // What every send touches comes first, close together.
  const std::uint64_t id_;
  const std::shared_ptr<const ReadyOptions> options_;
  std::size_t message_max_bytes_;
  std::atomic<bool> named_{false};
  SpinLock naming_;
  std::atomic<const std::string*> cluster_id_{nullptr};
  std::atomic<std::int64_t> next_cluster_query_{0};
  const rd_kafka_t* claimed_ = nullptr;
  bool traced_elsewhere_ = false;
  bool polled_elsewhere_ = false;
  bool committed_elsewhere_ = false;
  bool reports_commits_ = false;
  std::string client_id_;
  std::string group_;
  messaging::ServerAddress server_;
  TopicRules topic_rules_;
  mutable Topics topics_;
  OpenSends open_sends_;
  OpenCommits open_commits_;
  messaging::DetachedSpans detached_spans_;
  KeptStatistics kept_statistics_;
};

// A copy of midtrace whose interceptors make the poll spans of a client, or those of all its commits, claims
// this beside the handle, so that the wrapper of another copy makes none. The addresses lie inside the client
// and are nobody else's.
inline const void* poll_claim(const rd_kafka_t* handle) noexcept {
  return reinterpret_cast<const char*>(handle) + 1;
}
inline const void* commit_claim(const rd_kafka_t* handle) noexcept {
  return reinterpret_cast<const char*>(handle) + 2;
}

// The clients of instrumented configurations, by handle.
void register_client(const rd_kafka_t* handle, const std::shared_ptr<Client>& client) noexcept;
void unregister_client(const Client& client) noexcept;
// Null when the handle is not instrumented.
std::shared_ptr<Client> find_client(const rd_kafka_t* handle) noexcept;
std::shared_ptr<Client> find_client(std::uint64_t id) noexcept;
// As find_client; for a handle that is not instrumented, a client with default options that is kept for later
// calls. Null only when there is no memory.
std::shared_ptr<Client> find_or_add_client(rd_kafka_t* handle) noexcept;
// For a message of which the client is unknown: default options, no facts. Null only when there is no memory.
std::shared_ptr<Client> unknown_client() noexcept;

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
