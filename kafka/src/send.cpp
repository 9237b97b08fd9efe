#include "send.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <string_view>
#include <utility>

#include "batch_send.h"
#include "headers.h"
#include "received.h"
#include "send_spans.h"
#include "spans.h"

#include "messaging/baggage_rules.h"
#include "messaging/outgoing.h"
#include "messaging/thread_state.h"

#include <midtrace/context/context.h>
#include <midtrace/propagation/propagator.h>
#include <midtrace/trace/counters.h>
#include <midtrace/trace/instrumentation.h>

namespace midtrace {
inline namespace v1 {
namespace kafka {
namespace detail {

namespace {

using messaging::Found;

// The batch that is being sent through this client.
BatchSends* batch_of(const ThreadState& thread, const Client& client) noexcept {
  return thread.batch != nullptr && thread.batch->client == client.id() ? thread.batch : nullptr;
}

// What a record costs at the most beside key, value and headers, as librdkafka reckons it before on_send.
constexpr std::size_t record_overhead = 36;
// Room for what an interceptor behind ours may still add: a message over the limit aborts the process.
constexpr std::size_t slack = 256;
// With this much room left no context is too large, and its size need not be known before the span starts.
constexpr std::size_t ample_room = 32768;
// More than this is not copied to be put back later; such headers are left alone.
constexpr std::size_t max_saved_bytes = 65536;

struct Outgoing {
  rd_kafka_message_t* message;
  rd_kafka_headers_t* headers;  // null when the message has none
  const HeadersReader* reader;  // null when the message has none
  std::size_t room;             // bytes left below message.max.bytes once an old context has made way
};

// Whether the header has to go when the collected fields are written: each field that is written, and with a
// new trace context the rest of the old one (a tracestate must not outlive its traceparent). Old baggage
// stays unless replaced.
bool makes_way(std::string_view name, std::span<const std::string_view> fields,
               const messaging::FieldBuffer& buffer, bool replaces_context) noexcept {
  if (buffer.contains(name)) return true;
  return replaces_context && !is_baggage_field(name) &&
         std::find(fields.begin(), fields.end(), name) != fields.end();
}

// Copies every header that has to make way, so that a failed produce call leaves the application what it had.
// False when they are too many to copy.
bool save_headers(ThreadState& thread, const rd_kafka_headers_t* headers,
                  std::span<const std::string_view> fields) {
  thread.saved.clear();
  thread.saved_text.clear();
  const bool context = thread.fields.has_context();
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  for (std::size_t index = 0;
       rd_kafka_header_get_all(headers, index, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++index) {
    if (!makes_way(name, fields, thread.fields, context)) continue;
    const std::size_t name_length = std::strlen(name);
    if (thread.saved_text.size() + name_length + size > max_saved_bytes) return false;
    const std::size_t name_at = thread.saved_text.size();
    thread.saved_text.append(name, name_length + 1);
    const std::size_t value_at = thread.saved_text.size();
    if (value != nullptr) thread.saved_text.append(static_cast<const char*>(value), size);
    thread.saved.push_back({name_at, value_at, value != nullptr ? size : 0, value == nullptr});
  }
  return true;
}

void add_fields(rd_kafka_headers_t* headers, const messaging::FieldBuffer& fields) noexcept {
  for (std::size_t index = 0; index < fields.size(); ++index) {
    const messaging::FieldBuffer::Field field = fields[index];
    rd_kafka_header_add(headers, field.name, static_cast<ssize_t>(field.name_length), field.value,
                        static_cast<ssize_t>(field.value_length));
  }
}

// Whether `context` will fit, judged before its span exists. Ids and decisions have one length, so any will
// do.
bool will_fit(ThreadState& thread, const Outgoing& out, const Context& parent) noexcept {
  if (out.room >= ample_room) return true;
  Context sample = parent;
  sample.span.trace_id = {1, 1};
  sample.span.span_id = {1};
  sample.span.flags.bits = TraceFlags::sampled_bit;
  thread.fields.clear();
  propagator().inject(sample, thread.fields);
  return thread.fields.complete() && fit(thread.fields, out.room);
}

// Writes the context into the message. The list that is there is changed in place, never exchanged, because
// librdkafka would free the application's own.
bool inject(ThreadState& thread, const Outgoing& out, const Context& context) {
  thread.fields.clear();
  propagator().inject(context, thread.fields);
  if (thread.fields.size() == 0) return thread.fields.complete();
  if (!thread.fields.complete() || !fit(thread.fields, out.room)) return false;
  if (out.headers == nullptr) {
    rd_kafka_headers_t* headers = rd_kafka_headers_new(thread.fields.size());
    add_fields(headers, thread.fields);
    rd_kafka_message_set_headers(out.message, headers);
    return true;
  }
  if (out.reader->has_fields() || thread.fields.has_others(propagator().fields())) {
    if (!save_headers(thread, out.headers, propagator().fields())) return false;
    for (const SavedHeader& saved : thread.saved) {
      rd_kafka_header_remove(out.headers, thread.saved_text.data() + saved.name);
    }
  }
  add_fields(out.headers, thread.fields);
  thread.last.changed = out.headers;
  return true;
}

// Takes our fields out of the application's list again, after a produce call that failed.
void undo(ThreadState& thread, const rd_kafka_message_t* message) noexcept {
  rd_kafka_headers_t* headers = nullptr;
  if (thread.last.changed == nullptr ||
      rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
      headers != thread.last.changed) {
    return;
  }
  for (std::size_t index = 0; index < thread.fields.size(); ++index) {
    rd_kafka_header_remove(headers, thread.fields[index].name);
  }
  for (const SavedHeader& saved : thread.saved) {
    rd_kafka_header_add(headers, thread.saved_text.data() + saved.name, -1,
                        saved.is_null ? nullptr : thread.saved_text.data() + saved.value,
                        static_cast<ssize_t>(saved.value_length));
  }
}

messaging::Origin origin_of(const Client& client, const SpanContext& context) noexcept {
  const ExistingContext existing = client.options().user.existing_context;
  if (const messaging::ThreadState* thread = messaging::existing_thread_state(); thread != nullptr) {
    return messaging::origin_of(existing, *thread, context);
  }
  return messaging::origin_of(existing, {}, context);  // nothing was received on this thread
}

// Bytes that are left for our headers, beside others of this size.
std::size_t room_for(const Client& client, const rd_kafka_message_t& message,
                     std::size_t other_headers) noexcept {
  const std::size_t needed = record_overhead + slack + (message.payload != nullptr ? message.len : 0) +
                             (message.key != nullptr ? message.key_len : 0) + other_headers;
  const std::size_t limit = client.message_max_bytes();
  return limit > needed ? limit - needed : 0;
}

void skip_injection() noexcept {
  count(Counter::injection_skipped);
  report(
      Severity::warning, "kafka.injection_skipped",
      "A Kafka message was sent without trace context, because its headers would have grown beyond "
      "message.max.bytes or were too large to be changed; raise message.max.bytes to trace such messages.");
}

// The same for brokers that know no headers.
void skip_headerless() noexcept {
  static std::atomic<bool> mentioned{false};
  count(Counter::injection_skipped);
  if (mentioned.load(std::memory_order_relaxed) || mentioned.exchange(true, std::memory_order_relaxed))
    return;
  report(Severity::warning, "kafka.headerless",
         "Kafka messages are sent without trace context, because their client's configuration says that the "
         "brokers are older than 0.11 and know no headers (api.version.request=false and "
         "broker.version.fallback); correct it if they are newer.");
}

void keep_open(Client& client, ThreadState& thread, const rd_kafka_message_t* message, OpenSend& send) {
  OpenSend displaced;
  switch (client.open_sends().insert(message, send, displaced)) {
    case OpenSends::Insert::done:
      break;
    case OpenSends::Insert::displaced:
      abandon_send(client, std::move(displaced));
      break;
    case OpenSends::Insert::refused:
      abandon_send(client, std::move(send));
      return;
  }
  if (BatchSends* batch = batch_of(thread, client)) batch->sampled.push_back({batch->count - 1, message});
}

// What is to be written into the message.
struct Injection {
  bool wanted;                      // false: nothing
  bool fits = true;                 // judged before the span exists
  const Context* stored = nullptr;  // instead of the span's own (CreationContext)
};

// `ambient`, which has the baggage, is used up.
inline void write(ThreadState& thread, const Outgoing& out, Context& ambient, const SpanContext& own,
                  const Injection& injection) {
  if (!injection.wanted) return;
  ambient.span = own;
  const Context& carried = injection.stored != nullptr ? *injection.stored : ambient;
  if (!injection.fits || !inject(thread, out, carried)) skip_injection();
}

// For a message of a batch that has one `send` span: the message's own is a `create` span, unless it carries
// a context without that, and what is kept until the report is a share in the batch's span.
void create_and_inject(Client& client, ThreadState& thread, BatchSends& batch, const Outgoing& out,
                       Context& ambient, const SendStart& start, const Injection& injection) {
  const bool creates = injection.wanted && injection.fits && injection.stored == nullptr;
  CreatedContext created;
  if (creates) {
    created = record_create(client, *start.topic, out.message, *start.parent);
  } else if (start.linked != nullptr) {
    created = {*start.linked, start.linked->sampled()};
  }
  thread.last.changed = nullptr;  // a hook may have sent something itself
  thread.saved.clear();
  write(thread, out, ambient, created.span, injection);
  if (created.span.valid()) batch.created.push_back({created.span});
  if (!created.recorded || client.options().user.end_send_at == SendEnd::enqueue) return;
  OpenSend send;
  send.topic = start.topic;
  send.rare = std::make_unique<RareSendState>();
  send.rare->batch = batch.common;
  batch.common->add();
  keep_open(client, thread, out.message, send);
}

// Starts the span, writes its context into the message, and keeps it until the report. `ambient` is used up.
void start_and_inject(Client& client, ThreadState& thread, const Outgoing& out, Context& ambient,
                      const SendStart& start, const Injection& injection) {
  if (BatchSends* batch = batch_of(thread, client); batch != nullptr && batch->common != nullptr)
      [[unlikely]] {
    return create_and_inject(client, thread, *batch, out, ambient, start, injection);
  }
  std::unique_ptr<RareSendState> rare;
  PendingSpan pending = start_send(client, start, rare);
  const bool has_span = rare != nullptr && rare->has_span;
  thread.last.changed = nullptr;  // a hook may have sent something itself
  thread.saved.clear();
  write(thread, out, ambient, has_span ? rare->started.context() : pending.context(), injection);
  if (!(has_span ? rare->started.recording() : pending.recording())) return;
  OpenSend send{std::move(pending), start.topic, std::move(rare), start.kind};
  if (client.options().user.end_send_at == SendEnd::enqueue) {
    finish_send(client, std::move(send), out.message, RD_KAFKA_RESP_ERR_NO_ERROR);
  } else {
    keep_open(client, thread, out.message, send);
  }
}

// Headers are neither read nor written. `stored` may be null.
void send_without_context(Client& client, ThreadState& thread, rd_kafka_message_t* message, Context& ambient,
                          const Topic& topic, const Context* stored) {
  if (!topic.switches().unpropagated) skip_headerless();
  Context parent = ambient;
  if (stored != nullptr && !ambient.span.valid()) parent.span = stored->span;
  start_and_inject(client, thread, {message, nullptr, nullptr, 0}, ambient,
                   {.topic = &topic,
                    .message = message,
                    .parent = &parent,
                    .kind = SpanKind::client,
                    .linked = stored != nullptr ? &stored->span : nullptr},
                   {.wanted = false});
}

// The usual case: the application gave no headers.
void send_plain(Client& client, ThreadState& thread, rd_kafka_message_t* message, Context& ambient,
                const Topic& topic) {
  const Outgoing out{message, nullptr, nullptr, room_for(client, *message, 0)};
  const bool wanted = carries_spans(propagator().fields());
  const bool fits = !wanted || will_fit(thread, out, ambient);
  start_and_inject(client, thread, out, ambient,
                   {.topic = &topic,
                    .message = message,
                    .parent = &ambient,
                    .kind = wanted && fits ? SpanKind::producer : SpanKind::client},
                   {.wanted = true, .fits = fits});
}

// Headers of the application's, or a stored context that goes into the message, or both.
void send_with_headers(Client& client, ThreadState& thread, rd_kafka_message_t* message,
                       rd_kafka_headers_t* headers, Context& ambient, const Topic& topic,
                       const Context* stored) {
  const std::span<const std::string_view> fields = propagator().fields();
  const HeadersReader reader(headers, fields, true);
  Context existing;
  if (reader.has_fields()) propagator().extract(reader, existing);
  const auto [found, incoming] = origin_of(client, existing.span);
  if (found == Found::application) stored = nullptr;  // the message has one of its own
  messaging::distrust(incoming, existing.span);
  if (stored != nullptr) existing.span = stored->span;  // takes its place
  const Outgoing out{message, headers, &reader,
                     room_for(client, *message, reader.wire_bytes() - reader.context_wire_bytes())};

  Context parent = ambient;
  const bool trusted = stored != nullptr || incoming == IncomingContext::continue_trace;
  if (!ambient.span.valid() && trusted && messaging::says_something(existing.span))
    parent.span = existing.span;
  const bool wanted = found != Found::application && carries_spans(fields);
  const bool fits = !wanted || will_fit(thread, out, stored != nullptr ? *stored : parent);
  // The context in forwarded headers is linked only where it is the parent, so that the order stays one graph
  // when nothing is current; otherwise the process span has the link.
  const bool linked =
      stored != nullptr || found == Found::application || (found == Found::received && !ambient.span.valid());
  start_and_inject(client, thread, out, ambient,
                   {.topic = &topic,
                    .message = message,
                    .parent = &parent,
                    .kind = wanted && fits && stored == nullptr ? SpanKind::producer : SpanKind::client,
                    .linked = linked && existing.span.valid() ? &existing.span : nullptr},
                   {.wanted = found != Found::application, .fits = fits, .stored = stored});
}

// No span: the current context goes out instead, unless the application put one there itself.
void propagate_only(Client& client, ThreadState& thread, rd_kafka_message_t* message,
                    rd_kafka_headers_t* headers, const Context& ambient, TopicSwitches switches) {
  if (switches.unpropagated || (!messaging::says_something(ambient.span) && ambient.baggage.empty())) return;
  if (switches.headerless) return skip_headerless();
  const HeadersReader reader(headers, propagator().fields(), true);
  Context existing;
  if (reader.has_fields()) propagator().extract(reader, existing);
  if (origin_of(client, existing.span).found == Found::application) return;
  thread.saved.clear();
  const Outgoing out{message, headers, &reader,
                     room_for(client, *message, reader.wire_bytes() - reader.context_wire_bytes())};
  if (!inject(thread, out, ambient)) skip_injection();
}

// Inside a CreationContext: its context goes out instead of the span's.
void send_stored(Client& client, ThreadState& thread, rd_kafka_message_t* message,
                 rd_kafka_headers_t* headers, Context& ambient, const Topic& topic, Context stored) {
  stored.baggage = messaging::allowed_baggage(client.options().user.baggage_keys, std::move(stored.baggage));
  const Context* used = stored.span.valid() ? &stored : nullptr;
  const TopicSwitches switches = topic.switches();
  if (client.options().mode != ModuleMode::on || switches.untraced) {
    propagate_only(client, thread, message, headers, used != nullptr ? stored : ambient, switches);
  } else if (switches.any()) {
    send_without_context(client, thread, message, ambient, topic, used);
  } else {
    send_with_headers(client, thread, message, headers, ambient, topic, used);
  }
}

// Errors that come from clearing a queue, possibly on a thread that sends; all others on such a thread come
// from inside a produce call.
bool from_a_queue(rd_kafka_resp_err_t error) noexcept {
  return error == RD_KAFKA_RESP_ERR__PURGE_QUEUE || error == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT ||
         error == RD_KAFKA_RESP_ERR__DESTROY;
}

}  // namespace

void message_sent(Client& client, const rd_kafka_t* handle, rd_kafka_message_t* message) noexcept {
  ThreadState* thread = thread_state();
  if (thread == nullptr) return;
  ++thread->sends;
  if (BatchSends* batch = batch_of(*thread, client)) ++batch->count;
  thread->last = {client.id(), message, nullptr, true};
  try {
    Context ambient = Context::current();
    if (ambient.suppressed) return;
    if (client.options().user.baggage_keys.has_value())
      ambient.baggage =
          messaging::allowed_baggage(client.options().user.baggage_keys, std::move(ambient.baggage));
    client.learn_name(handle);
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) headers = nullptr;
    const Topic& topic = client.topic(rd_kafka_topic_name(message->rkt), thread);
    const TopicSwitches switches = topic.switches();
    messaging::ThreadState* shared = messaging::existing_thread_state();
    if (shared != nullptr && !shared->creations.empty()) [[unlikely]] {
      send_stored(client, *thread, message, headers, ambient, topic, shared->stored_context());
    } else if (client.options().mode != ModuleMode::on || switches.untraced) {
      propagate_only(client, *thread, message, headers, ambient, switches);
    } else if (switches.any()) {
      send_without_context(client, *thread, message, ambient, topic, nullptr);
    } else if (headers == nullptr) [[likely]] {
      send_plain(client, *thread, message, ambient, topic);
    } else {
      send_with_headers(client, *thread, message, headers, ambient, topic, nullptr);
    }
    thread->last.client = client.id();
    thread->last.message = message;
    thread->last.open = true;
  } catch (...) {
    count(Counter::dropped_no_record);
  }
}

void message_acknowledged_slowly(Client& client, const rd_kafka_message_t* message) noexcept {
  const rd_kafka_resp_err_t error = message->err;
  OpenSend send;
  bool open = client.open_sends().maybe(message) && client.open_sends().take(message, send);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    ThreadState* thread = existing_thread_state();
    if (thread != nullptr && thread->last.open && thread->last.client == client.id() &&
        !from_a_queue(error)) {
      // The produce call failed. produce_batch() then reports the application's array element instead of the
      // message.
      const rd_kafka_message_t* sent = thread->last.message;
      if (sent == message) {
        undo(*thread, message);
      } else if (!open) {
        open = client.open_sends().take(sent, send);
      }
      thread->last.open = false;
      if (thread->batch != nullptr && !thread->batch->sampled.empty() &&
          thread->batch->sampled.back().message == sent) {
        thread->batch->sampled.pop_back();
      }
    }
  }
  if (open) finish_send(client, std::move(send), message, error);
}

bool end_open_sends(Client& client) noexcept {
  bool ended = false;
  for (;;) {
    OpenSend send;  // each of its own, so that what it holds is not freed under the table's lock
    if (!client.open_sends().take_any(send)) break;
    count(Counter::operations_lost);
    finish_send(client, std::move(send), nullptr, RD_KAFKA_RESP_ERR__DESTROY);
    ended = true;
  }
  return ended;
}

}  // namespace detail
}  // namespace kafka
}  // namespace v1
}  // namespace midtrace
