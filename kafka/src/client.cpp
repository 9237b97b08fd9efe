#include "client.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <mutex>
#include <utility>

#include "spans.h"

#include <midtrace/trace/instrumentation.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

namespace {

std::atomic<std::uint64_t> clients_made{0};

constexpr std::size_t default_message_max_bytes = 1000000;

std::string configured(const rd_kafka_conf_t* conf, const char* property) {
  std::size_t size = 0;
  if (conf == nullptr || rd_kafka_conf_get(conf, property, nullptr, &size) != RD_KAFKA_CONF_OK || size < 2)
    return {};
  std::string value(size, '\0');
  if (rd_kafka_conf_get(conf, property, value.data(), &size) != RD_KAFKA_CONF_OK) return {};
  value.resize(std::strlen(value.c_str()));
  return value;
}

std::size_t as_number(const std::string& text, std::size_t otherwise) noexcept {
  std::size_t number = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9' || number > 0xFFFFFFFFU) return otherwise;
    number = number * 10 + static_cast<std::size_t>(digit - '0');
  }
  return text.empty() ? otherwise : number;
}

// The clients of this process. Entries are allocated and freed outside of the lock, which is also held over a
// fork, so that a child never finds it taken by a thread that it does not have.
class Registry {
 public:
  static Registry& instance() noexcept {
    static Registry* const registry = make();
    return *registry;
  }

  void add(const rd_kafka_t* handle, const std::shared_ptr<Client>& client, std::string name) noexcept {
    try {
      auto entry = std::make_unique<Entry>(Entry{handle, client, std::move(name), nullptr});
      std::unique_ptr<Entry> replaced;
      {
        const std::lock_guard guard(lock_);
        replaced = unlink([&](const Entry& known) { return known.handle == handle; });
        entry->next = std::exchange(first_, entry.get());
        static_cast<void>(entry.release());
      }
      forget_oldest();
    } catch (...) {
      // Without an entry the wrapper treats the client as not instrumented.
    }
  }
  void remove(const Client& client) noexcept {
    std::unique_ptr<Entry> removed;
    const std::lock_guard guard(lock_);
    removed = unlink([&](const Entry& known) { return known.client.get() == &client; });
  }
  template <class Matches>
  std::shared_ptr<Client> find(const Matches& matches) noexcept {
    const std::lock_guard guard(lock_);
    for (const Entry* entry = first_; entry != nullptr; entry = entry->next) {
      if (matches(*entry)) return entry->client;
    }
    return nullptr;
  }

  struct Entry {
    const rd_kafka_t* handle;
    std::shared_ptr<Client> client;
    // Empty for instrumented clients, which say when they are destroyed. Of the others the name tells whether
    // the handle is still the same client, because librdkafka numbers its clients.
    std::string name;
    Entry* next;
  };

 private:
  static constexpr unsigned max_named = 256;

  static Registry* make() noexcept {
    static Registry* made = nullptr;
    made = new Registry;
    pthread_atfork([] { made->lock_.lock(); }, [] { made->lock_.unlock(); }, [] { made->lock_.unlock(); });
    return made;
  }

  template <class Matches>
  std::unique_ptr<Entry> unlink(const Matches& matches) noexcept {
    for (Entry** link = &first_; *link != nullptr; link = &(*link)->next) {
      if (matches(**link)) return std::unique_ptr<Entry>(std::exchange(*link, (*link)->next));
    }
    return nullptr;
  }
  // Clients that are not instrumented never say goodbye: only the newest are kept.
  void forget_oldest() noexcept {
    std::unique_ptr<Entry> oldest;
    const std::lock_guard guard(lock_);
    unsigned named = 0;
    for (const Entry* entry = first_; entry != nullptr; entry = entry->next) {
      if (!entry->name.empty()) ++named;
    }
    if (named <= max_named) return;
    oldest = unlink([&named](const Entry& entry) { return !entry.name.empty() && named-- == 1; });
  }

  SpinLock lock_;
  Entry* first_ = nullptr;
};

// As many as there are; a time beyond three centuries is for ever.
std::int64_t nanos_of(std::chrono::milliseconds time) noexcept {
  constexpr std::int64_t nanos = 1000000;
  const std::int64_t count = std::max<std::int64_t>(time.count(), 0);
  return count < INT64_MAX / nanos ? count * nanos : INT64_MAX - 1;
}

std::shared_ptr<const ReadyOptions> default_options() {
  return std::make_shared<const ReadyOptions>(Options{});
}

}  // namespace

Client::Client(std::shared_ptr<const ReadyOptions> options, const rd_kafka_conf_t* conf)
    : id_(clients_made.fetch_add(1, std::memory_order_relaxed) + 1),
      options_(std::move(options)),
      message_max_bytes_(as_number(configured(conf, "message.max.bytes"), default_message_max_bytes)),
      client_id_(configured(conf, "client.id")),
      group_(configured(conf, "group.id")),
      server_(options_->server),
      topic_rules_(options_->user.untraced_topics, options_->user.unpropagated_topics,
                   !brokers_take_headers(configured(conf, "api.version.request"),
                                         configured(conf, "broker.version.fallback"))),
      topics_(topic_rules_),
      detached_spans_(nanos_of(options_->user.process_timeout)) {
  if (client_id_ == "rdkafka") client_id_.clear();  // the default, which says nothing
  named_.store(!client_id_.empty() || conf == nullptr, std::memory_order_relaxed);
  if (server_.host.empty() && options_->user.server_address.empty()) {
    server_ = messaging::parse_server(configured(conf, "bootstrap.servers"), default_port);
  }
}

Client::~Client() { delete cluster_id_.load(std::memory_order_relaxed); }

void Client::ask_elsewhere(const rd_kafka_t* handle) noexcept {
  const auto is_claimed = [](const void* claim) {
    const bool claimed = !claim_client(claim);
    if (!claimed) release_client(claim);
    return claimed;
  };
  polled_elsewhere_ = is_claimed(poll_claim(handle));
  committed_elsewhere_ = is_claimed(commit_claim(handle));
}

void Client::ask_name(const rd_kafka_t* handle) noexcept {
  const std::lock_guard guard(naming_);
  if (named_.load(std::memory_order_relaxed)) return;
  try {
    if (const char* name = rd_kafka_name(handle); name != nullptr) client_id_ = name;
  } catch (...) {
    // The spans go without it.
  }
  named_.store(true, std::memory_order_release);
}

void Client::ask_cluster_id(rd_kafka_t* handle) noexcept {
  const std::int64_t now = std::chrono::steady_clock::now().time_since_epoch().count();
  std::int64_t due = next_cluster_query_.load(std::memory_order_relaxed);
  const std::int64_t second = std::chrono::steady_clock::duration(std::chrono::seconds(1)).count();
  if (now < due || !next_cluster_query_.compare_exchange_strong(due, now + second, std::memory_order_relaxed))
    return;
  char* known = rd_kafka_clusterid(handle, 0);
  if (known == nullptr) return;
  try {
    auto text = std::make_unique<const std::string>(known);
    const std::string* expected = nullptr;
    if (cluster_id_.compare_exchange_strong(expected, text.get(), std::memory_order_acq_rel)) {
      static_cast<void>(text.release());
    }
  } catch (...) {
    // Another call will find it.
  }
  rd_kafka_mem_free(handle, known);
}

const PreparedSpan* Client::prepare(const Topic& topic, Operation operation) const noexcept {
  try {
    auto made = std::make_unique<const PreparedSpan>(prepare_span(*this, topic, operation));
    auto& place = topic.prepared_[static_cast<std::size_t>(operation)];
    const PreparedSpan* known = nullptr;
    if (place.compare_exchange_strong(known, made.get(), std::memory_order_acq_rel,
                                      std::memory_order_acquire)) {
      return made.release();
    }
    return known;
  } catch (...) {
    return nullptr;
  }
}

void register_client(const rd_kafka_t* handle, const std::shared_ptr<Client>& client) noexcept {
  Registry::instance().add(handle, client, {});
}

void unregister_client(const Client& client) noexcept { Registry::instance().remove(client); }

std::shared_ptr<Client> find_client(const rd_kafka_t* handle) noexcept {
  return Registry::instance().find(
      [handle](const Registry::Entry& entry) { return entry.handle == handle && entry.name.empty(); });
}

std::shared_ptr<Client> find_client(std::uint64_t id) noexcept {
  return Registry::instance().find([id](const Registry::Entry& entry) { return entry.client->id() == id; });
}

std::shared_ptr<Client> find_or_add_client(rd_kafka_t* handle) noexcept {
  const char* name = rd_kafka_name(handle);
  std::shared_ptr<Client> client = Registry::instance().find([handle, name](const Registry::Entry& entry) {
    return entry.handle == handle && (entry.name.empty() || entry.name == name);
  });
  if (client != nullptr) {
    client->learn_name(handle);
    return client;
  }
  try {
    client = std::make_shared<Client>(default_options(), rd_kafka_conf(handle));
    client->learn_name(handle);
    client->ask_elsewhere(handle);
    Registry::instance().add(handle, client, name);
  } catch (...) {
    // As far as it came.
  }
  return client;
}

std::shared_ptr<Client> unknown_client() noexcept {
  try {
    // Kept for the life of the process, and never destroyed.
    static const std::shared_ptr<Client>* const client =
        new std::shared_ptr<Client>(std::make_shared<Client>(default_options(), nullptr));
    return *client;
  } catch (...) {
    return nullptr;
  }
}

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
