#include "properties.h"

#include <charconv>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "config/environment.h"
#include "ready_options.h"

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace plugin {

namespace {

constexpr std::string_view prefix = "midtrace.";

// A property that chooses among words.
template <class Value>
struct Word {
  std::string_view word;
  Value value;
};
template <class Value, std::size_t count>
std::optional<Value> find(const Word<Value> (&words)[count], std::string_view text) {
  for (const Word<Value>& word : words) {
    if (word.word == text) return word.value;
  }
  return std::nullopt;
}

constexpr Word<ModuleMode> modes[] = {
    {"off", ModuleMode::off}, {"propagate", ModuleMode::propagate}, {"on", ModuleMode::on}};
constexpr Word<SendEnd> send_ends[] = {{"delivery", SendEnd::delivery}, {"enqueue", SendEnd::enqueue}};
constexpr Word<ExistingContext> existing_contexts[] = {{"automatic", ExistingContext::automatic},
                                                       {"keep", ExistingContext::keep},
                                                       {"replace", ExistingContext::replace}};
constexpr Word<IncomingContext> incoming_contexts[] = {{"continue", IncomingContext::continue_trace},
                                                       {"restart", IncomingContext::restart},
                                                       {"ignore", IncomingContext::ignore}};
constexpr Word<bool> switches[] = {{"true", true}, {"false", false}};
constexpr Word<CommitSpans> commit_switches[] = {{"true", CommitSpans::on}, {"false", CommitSpans::off}};
constexpr Word<PollSpans> poll_switches[] = {{"true", PollSpans::on}, {"false", PollSpans::off}};

template <auto member, const auto& words>
bool choose(Options& options, std::string_view text) {
  const auto value = find(words, lower_case(text));
  if (value) options.*member = *value;
  return value.has_value();
}

std::vector<std::string> list(std::string_view text) {
  std::vector<std::string> items;
  for (;;) {
    const std::size_t comma = text.find(',');
    if (const std::string_view item = trimmed(text.substr(0, comma)); !item.empty()) items.emplace_back(item);
    if (comma == std::string_view::npos) return items;
    text.remove_prefix(comma + 1);
  }
}

template <auto member>
bool read_list(Options& options, std::string_view text) {
  options.*member = list(text);
  return true;
}

bool read_server(Options& options, std::string_view text) {
  if (messaging::parse_server(text, detail::default_port).host.empty()) return false;
  options.server_address = text;
  return true;
}

bool read_timeout(Options& options, std::string_view text) {
  std::uint32_t milliseconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), milliseconds);
  if (error != std::errc() || end != text.data() + text.size() || milliseconds > 0x7FFFFFFFU) return false;
  options.close_flush_timeout = std::chrono::milliseconds(milliseconds);
  return true;
}

struct Option {
  const char* name;  // after `midtrace.`; the cause of its warning
  bool (*read)(Options& options, std::string_view text);
  const char* takes;
};
constexpr Option known[] = {
    {"kafka.mode", choose<&Options::mode, modes>, "off, propagate or on"},
    {"kafka.send.end", choose<&Options::end_send_at, send_ends>, "delivery or enqueue"},
    {"kafka.existing.context", choose<&Options::existing_context, existing_contexts>,
     "automatic, keep or replace"},
    {"kafka.incoming.context", choose<&Options::incoming_context, incoming_contexts>,
     "continue, restart or ignore"},
    {"kafka.baggage.keys", read_list<&Options::baggage_keys>, "a list of names"},
    {"kafka.untraced.topics", read_list<&Options::untraced_topics>, "a list of topics"},
    {"kafka.unpropagated.topics", read_list<&Options::unpropagated_topics>, "a list of topics"},
    {"kafka.poll.spans", choose<&Options::poll_spans, poll_switches>, "true or false"},
    {"kafka.commit.spans", choose<&Options::commit_spans, commit_switches>, "true or false"},
    {"kafka.headers", read_list<&Options::captured_headers>, "a list of patterns"},
    {"kafka.headers.excluded", read_list<&Options::excluded_headers>, "a list of patterns"},
    {"kafka.message.key", choose<&Options::capture_message_key, switches>, "true or false"},
    {"kafka.message.body.size", choose<&Options::capture_body_size, switches>, "true or false"},
    {"kafka.queue.time", choose<&Options::capture_queue_time, switches>, "true or false"},
    {"kafka.server.address", read_server, "host or host:port"},
    {"kafka.close.flush.timeout.ms", read_timeout, "a whole number of milliseconds"},
};

}  // namespace

bool Properties::set(std::string_view name, const char* value) {
  if (!name.starts_with(prefix)) return false;
  name.remove_prefix(prefix.size());
  if (value == nullptr) {
    if (const auto found = values_.find(name); found != values_.end()) values_.erase(found);
  } else {
    values_.insert_or_assign(std::string(name), value);
  }
  return true;
}

const char* Properties::variable(std::string_view name) const {
  for (const std::string_view beginning : {std::string_view("OTEL_"), std::string_view("MIDTRACE_")}) {
    if (!name.starts_with(beginning)) continue;
    std::string property = lower_case(name.substr(beginning.size()));
    for (char& c : property)
      c = c == '_' ? '.' : c;
    return value(property);
  }
  return nullptr;
}

const char* Properties::value(std::string_view name) const {
  const auto found = values_.find(name);
  return found != values_.end() ? found->second.c_str() : nullptr;
}

Options Properties::options() const {
  Options options;
  options.commit_spans = CommitSpans::off;
  options.poll_spans = PollSpans::off;  // without an end they say little; whoever wants them asks
  for (const auto& [name, value] : values_) {
    if (!name.starts_with(option_prefix)) continue;
    const Option* found = nullptr;
    for (const Option& option : known) {
      if (name == option.name) found = &option;
    }
    if (found == nullptr) {
      std::string names;
      for (const Option& option : known)
        names.append(names.empty() ? "" : ", ").append(prefix).append(option.name);
      Environment::warn_through_report(
          "kafka.plugin.property",
          quoted(std::string(prefix) + name) + " is no property of midtrace; ignored. There are " + names);
    } else if (!found->read(options, trimmed(value))) {
      Environment::warn_through_report(found->name, std::string(prefix) + name + " is " + quoted(value) +
                                                        ", which is not " + found->takes +
                                                        "; using the default");
    }
  }
  return options;
}

}  // namespace plugin
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
