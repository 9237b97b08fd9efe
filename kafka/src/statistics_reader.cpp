// Reads librdkafka's statistics as a stream of JSON events, so that nothing is built but what is kept. Which
// member of which object goes where is said by tables; every other object or array is passed over.
#include <midtrace/kafka/statistics.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

namespace midtrace {
inline namespace v1 {
namespace kafka {

namespace {

constexpr std::size_t max_brokers = 10000;
constexpr std::size_t max_topics = 10000;
constexpr std::size_t max_partitions = 100000;
constexpr std::size_t max_skipped_depth = 64;

template <class Object, class Value>
struct Member {
  std::string_view name;
  Value Object::*member;
};
template <class Object>
using Number = Member<Object, std::int64_t>;
template <class Object>
using Text = Member<Object, std::string>;

// The members of an object that are kept, by their kind; none unless said below.
template <class Object>
struct Members {
  static constexpr std::array<Number<Object>, 0> numbers{};
  static constexpr std::array<Text<Object>, 0> texts{};
};

#define MIDTRACE_MEMBER(object, name) \
  { #name, &object::name }

template <>
struct Members<WindowStatistics> {
  using W = WindowStatistics;
  static constexpr std::array<Number<W>, 12> numbers{
      {MIDTRACE_MEMBER(W, min), MIDTRACE_MEMBER(W, max), MIDTRACE_MEMBER(W, avg), MIDTRACE_MEMBER(W, sum),
       MIDTRACE_MEMBER(W, cnt), MIDTRACE_MEMBER(W, stddev), MIDTRACE_MEMBER(W, p50), MIDTRACE_MEMBER(W, p75),
       MIDTRACE_MEMBER(W, p90), MIDTRACE_MEMBER(W, p95), MIDTRACE_MEMBER(W, p99),
       MIDTRACE_MEMBER(W, p99_99)}};
  static constexpr std::array<Text<W>, 0> texts{};
};

template <>
struct Members<BrokerStatistics> {
  using B = BrokerStatistics;
  static constexpr std::array<Number<B>, 16> numbers{
      {MIDTRACE_MEMBER(B, nodeid), MIDTRACE_MEMBER(B, stateage), MIDTRACE_MEMBER(B, outbuf_cnt),
       MIDTRACE_MEMBER(B, outbuf_msg_cnt), MIDTRACE_MEMBER(B, waitresp_cnt),
       MIDTRACE_MEMBER(B, waitresp_msg_cnt), MIDTRACE_MEMBER(B, tx), MIDTRACE_MEMBER(B, txbytes),
       MIDTRACE_MEMBER(B, txerrs), MIDTRACE_MEMBER(B, txretries), MIDTRACE_MEMBER(B, req_timeouts),
       MIDTRACE_MEMBER(B, rx), MIDTRACE_MEMBER(B, rxbytes), MIDTRACE_MEMBER(B, rxerrs),
       MIDTRACE_MEMBER(B, connects), MIDTRACE_MEMBER(B, disconnects)}};
  static constexpr std::array<Text<B>, 4> texts{{MIDTRACE_MEMBER(B, name), MIDTRACE_MEMBER(B, nodename),
                                                 MIDTRACE_MEMBER(B, source), MIDTRACE_MEMBER(B, state)}};
};

template <>
struct Members<TopicStatistics> {
  using T = TopicStatistics;
  static constexpr std::array<Number<T>, 2> numbers{
      {MIDTRACE_MEMBER(T, age), MIDTRACE_MEMBER(T, metadata_age)}};
  static constexpr std::array<Text<T>, 1> texts{{MIDTRACE_MEMBER(T, topic)}};
};

template <>
struct Members<PartitionStatistics> {
  using P = PartitionStatistics;
  static constexpr std::array<Number<P>, 24> numbers{{MIDTRACE_MEMBER(P, partition),
                                                      MIDTRACE_MEMBER(P, broker),
                                                      MIDTRACE_MEMBER(P, leader),
                                                      MIDTRACE_MEMBER(P, msgq_cnt),
                                                      MIDTRACE_MEMBER(P, msgq_bytes),
                                                      MIDTRACE_MEMBER(P, xmit_msgq_cnt),
                                                      MIDTRACE_MEMBER(P, xmit_msgq_bytes),
                                                      MIDTRACE_MEMBER(P, fetchq_cnt),
                                                      MIDTRACE_MEMBER(P, fetchq_size),
                                                      MIDTRACE_MEMBER(P, next_offset),
                                                      MIDTRACE_MEMBER(P, app_offset),
                                                      MIDTRACE_MEMBER(P, stored_offset),
                                                      MIDTRACE_MEMBER(P, committed_offset),
                                                      MIDTRACE_MEMBER(P, eof_offset),
                                                      MIDTRACE_MEMBER(P, lo_offset),
                                                      MIDTRACE_MEMBER(P, hi_offset),
                                                      MIDTRACE_MEMBER(P, ls_offset),
                                                      MIDTRACE_MEMBER(P, consumer_lag),
                                                      MIDTRACE_MEMBER(P, consumer_lag_stored),
                                                      MIDTRACE_MEMBER(P, txmsgs),
                                                      MIDTRACE_MEMBER(P, txbytes),
                                                      MIDTRACE_MEMBER(P, rxmsgs),
                                                      MIDTRACE_MEMBER(P, rxbytes),
                                                      MIDTRACE_MEMBER(P, msgs_inflight)}};
  static constexpr std::array<Text<P>, 1> texts{{MIDTRACE_MEMBER(P, fetch_state)}};
};

template <>
struct Members<GroupStatistics> {
  using G = GroupStatistics;
  static constexpr std::array<Number<G>, 4> numbers{
      {MIDTRACE_MEMBER(G, stateage), MIDTRACE_MEMBER(G, rebalance_age), MIDTRACE_MEMBER(G, rebalance_cnt),
       MIDTRACE_MEMBER(G, assignment_size)}};
  static constexpr std::array<Text<G>, 3> texts{
      {MIDTRACE_MEMBER(G, state), MIDTRACE_MEMBER(G, join_state), MIDTRACE_MEMBER(G, rebalance_reason)}};
};

template <>
struct Members<Statistics> {
  using S = Statistics;
  static constexpr std::array<Number<S>, 17> numbers{
      {MIDTRACE_MEMBER(S, ts), MIDTRACE_MEMBER(S, time), MIDTRACE_MEMBER(S, age), MIDTRACE_MEMBER(S, replyq),
       MIDTRACE_MEMBER(S, msg_cnt), MIDTRACE_MEMBER(S, msg_size), MIDTRACE_MEMBER(S, msg_max),
       MIDTRACE_MEMBER(S, msg_size_max), MIDTRACE_MEMBER(S, metadata_cache_cnt), MIDTRACE_MEMBER(S, tx),
       MIDTRACE_MEMBER(S, tx_bytes), MIDTRACE_MEMBER(S, rx), MIDTRACE_MEMBER(S, rx_bytes),
       MIDTRACE_MEMBER(S, txmsgs), MIDTRACE_MEMBER(S, txmsg_bytes), MIDTRACE_MEMBER(S, rxmsgs),
       MIDTRACE_MEMBER(S, rxmsg_bytes)}};
  static constexpr std::array<Text<S>, 3> texts{
      {MIDTRACE_MEMBER(S, name), MIDTRACE_MEMBER(S, client_id), MIDTRACE_MEMBER(S, type)}};
};

#undef MIDTRACE_MEMBER

constexpr std::array<Member<BrokerStatistics, WindowStatistics>, 4> broker_windows{
    {{"int_latency", &BrokerStatistics::int_latency},
     {"outbuf_latency", &BrokerStatistics::outbuf_latency},
     {"rtt", &BrokerStatistics::rtt},
     {"throttle", &BrokerStatistics::throttle}}};
constexpr std::array<Member<TopicStatistics, WindowStatistics>, 2> topic_windows{
    {{"batchsize", &TopicStatistics::batchsize}, {"batchcnt", &TopicStatistics::batchcnt}}};

// The name must be in the table's own spelling.
template <class Table, class Object, class Value>
bool assign(const Table& table, Object& object, std::string_view name, Value&& value) {
  for (const auto& member : table) {
    if (member.name != name) continue;
    object.*member.member = std::forward<Value>(value);
    return true;
  }
  return false;
}

// What the SAX interface of nlohmann's library calls.
class Reader {
 public:
  explicit Reader(Statistics& into) : statistics_(into) {}

  bool null() { return true; }
  bool boolean(bool value) {
    if (skipped_ != 0 || place() != Place::partition) return true;
    PartitionStatistics& partition = statistics_.partitions.back();
    if (key_ == "desired") partition.desired = value;
    if (key_ == "unknown") partition.unknown = value;
    return true;
  }
  bool number_integer(std::int64_t value) { return number(value); }
  bool number_unsigned(std::uint64_t value) {
    constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
    return number(static_cast<std::int64_t>(std::min(value, most)));
  }
  bool number_float(double value, const std::string&) {
    if (std::isnan(value)) return true;
    constexpr double beyond = 9.2e18;
    return number(static_cast<std::int64_t>(std::clamp(value, -beyond, beyond)));
  }
  bool string(std::string& value) {
    if (skipped_ != 0) return true;
    with_object([&](auto& object) {
      using Object = std::remove_reference_t<decltype(object)>;
      assign(Members<Object>::texts, object, key_, std::move(value));
    });
    return true;
  }
  template <class Binary>
  bool binary(const Binary&) {
    return true;
  }

  bool start_object(std::size_t) {
    if (skipped_ != 0) return skip();
    const Place inner = place_of_object();
    if (inner == Place::other) return skip();
    places_[depth_++] = inner;
    return true;
  }
  bool key(std::string& name) {
    if (skipped_ == 0) key_.swap(name);
    return true;
  }
  bool end_object() { return end(); }
  bool start_array(std::size_t) { return depth_ != 0 && skip(); }
  bool end_array() { return end(); }
  template <class Exception>
  bool parse_error(std::size_t, const std::string&, const Exception&) {
    return false;
  }

  // Something was read, and it was an object.
  bool complete() const { return begun_ && depth_ == 0; }

 private:
  enum class Place : std::uint8_t {
    nowhere,
    client,
    brokers,
    broker,
    broker_window,
    topics,
    topic,
    topic_window,
    partitions,
    partition,
    group,
    other,
  };

  Place place() const { return depth_ == 0 ? Place::nowhere : places_[depth_ - 1]; }
  bool skip() {
    if (depth_ == 0) return false;
    return ++skipped_ <= max_skipped_depth;
  }
  bool end() {
    if (skipped_ != 0) {
      --skipped_;
    } else {
      --depth_;
    }
    return true;
  }

  // Where the object that begins now belongs, which is made there.
  Place place_of_object() {
    switch (place()) {
      case Place::nowhere:
        begun_ = true;
        return Place::client;
      case Place::client:
        if (key_ == "brokers") return Place::brokers;
        if (key_ == "topics") return Place::topics;
        if (key_ != "cgrp") return Place::other;
        statistics_.group.emplace();
        return Place::group;
      case Place::brokers:
        return add(statistics_.brokers, max_brokers) ? Place::broker : Place::other;
      case Place::broker:
        return window(broker_windows, statistics_.brokers.back()) ? Place::broker_window : Place::other;
      case Place::topics:
        if (!add(statistics_.topics, max_topics)) return Place::other;
        topic_ = key_;
        statistics_.topics.back().topic = key_;
        return Place::topic;
      case Place::topic:
        if (key_ == "partitions") return Place::partitions;
        return window(topic_windows, statistics_.topics.back()) ? Place::topic_window : Place::other;
      case Place::partitions:
        if (!add(statistics_.partitions, max_partitions)) return Place::other;
        statistics_.partitions.back().topic = topic_;
        return Place::partition;
      default:
        return Place::other;
    }
  }
  template <class List>
  bool add(List& list, std::size_t most) {
    if (list.size() >= most) {
      statistics_.truncated = true;
      return false;
    }
    list.emplace_back();
    return true;
  }
  template <class Table, class Object>
  bool window(const Table& table, Object& object) {
    for (const auto& member : table) {
      if (member.name != key_) continue;
      window_ = &(object.*member.member);
      return true;
    }
    return false;
  }

  template <class Function>
  void with_object(const Function& function) {
    switch (place()) {
      case Place::client:
        return function(statistics_);
      case Place::broker:
        return function(statistics_.brokers.back());
      case Place::topic:
        return function(statistics_.topics.back());
      case Place::partition:
        return function(statistics_.partitions.back());
      case Place::group:
        return function(*statistics_.group);
      case Place::broker_window:
      case Place::topic_window:
        return function(*window_);
      default:
        return;
    }
  }
  bool number(std::int64_t value) {
    if (skipped_ != 0) return true;
    with_object([&](auto& object) {
      using Object = std::remove_reference_t<decltype(object)>;
      assign(Members<Object>::numbers, object, key_, value);
    });
    return true;
  }

  Statistics& statistics_;
  WindowStatistics* window_ = nullptr;  // inside the last broker or topic
  std::string key_;
  std::string topic_;  // of the partitions
  std::array<Place, 8> places_{};
  std::size_t depth_ = 0;
  std::size_t skipped_ = 0;  // objects and arrays that are passed over
  bool begun_ = false;
};

}  // namespace

std::shared_ptr<const Statistics> parse_statistics(std::string_view json) noexcept {
  try {
    if (json.size() > max_statistics_bytes) return nullptr;
    auto statistics = std::make_shared<Statistics>();
    Reader reader(*statistics);
    if (!nlohmann::json::sax_parse(json.begin(), json.end(), &reader) || !reader.complete()) return nullptr;
    return statistics;
  } catch (...) {
    return nullptr;
  }
}

}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
