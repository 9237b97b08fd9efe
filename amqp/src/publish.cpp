#include "publish.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <span>
#include <utility>

#include "error_names.h"
#include "names.h"
#include "spans.h"
#include "table.h"

#include "messaging/baggage_rules.h"
#include "messaging/outgoing.h"
#include "messaging/text.h"
#include "messaging/thread_state.h"

#include <midtrace/context/context.h>
#include <midtrace/propagation/propagator.h>
#include <midtrace/semconv/attributes.h>
#include <midtrace/trace/counters.h>
#include <midtrace/trace/instrumentation.h>

namespace midtrace {
inline namespace v1 {
namespace amqp {
namespace detail {

namespace {

// A frame has this much around its payload.
constexpr std::size_t frame_overhead = 8;
// With this much room left no context is too large, and its size need not be known before the span starts.
constexpr std::size_t ample_room = 32768;
// For Channel::search_credit. A publish that comes back is looked at twice or so.
constexpr std::uint64_t credit_for_publish = 8;
constexpr std::uint64_t most_credit = std::uint64_t{1} << 20U;
constexpr std::uint64_t all = std::numeric_limits<std::uint64_t>::max();

int send(Session& session, const Publish& publish, const amqp_basic_properties_t* properties) noexcept {
  return amqp_basic_publish(session.state(), publish.channel, publish.exchange, publish.routing_key,
                            publish.mandatory, publish.immediate, properties, publish.body);
}

// The payload of a header frame may have this many bytes.
std::size_t frame_room(const Session& session) noexcept {
  const int frame_max = amqp_get_frame_max(session.state());
  if (frame_max <= 0) return std::numeric_limits<std::size_t>::max();
  const auto bytes = static_cast<std::size_t>(frame_max);
  return bytes > frame_overhead ? bytes - frame_overhead : 0;
}

struct Outgoing {
  Session& session;
  const Publish& publish;
  const TableReader& reader;
  std::size_t kept;  // what the caller's table takes once an old context has made way
  std::size_t room;  // left in the header frame beside that; 0 also when nobody may touch it
};

Outgoing outgoing(Session& session, const Publish& publish, const TableReader& reader) noexcept {
  const std::optional<std::size_t> table = reader.wire_bytes();
  if (!table.has_value()) return {session, publish, reader, 0, 0};
  const std::size_t kept = *table - reader.context_wire_bytes();
  const std::optional<std::size_t> payload = header_frame_payload_bytes(publish.properties, kept);
  const std::size_t limit = frame_room(session);
  return {session, publish, reader, kept, payload.has_value() && *payload < limit ? limit - *payload : 0};
}

// Whether the context of a child of `parent` will fit, judged before its span exists. Ids and decisions have
// one length, so any will do.
bool will_fit(const Outgoing& out, const Context& parent) noexcept {
  if (out.room >= ample_room) return true;
  Context sample = parent;
  sample.span.trace_id = {1, 1};
  sample.span.span_id = {1};
  sample.span.flags.bits = TraceFlags::sampled_bit;
  out.session.fields.clear();
  propagator().inject(sample, out.session.fields);
  return out.session.fields.complete() && encoded_fields_bytes(out.session.fields) <= out.room;
}

void skip_injection() noexcept {
  count(Counter::injection_skipped);
  report(Severity::warning, "amqp.injection_skipped",
         "A RabbitMQ message was sent without trace context, because its header frame would have grown "
         "beyond the connection's frame size, or has a field that rabbitmq-c cannot encode; raise frame_max "
         "at login to trace such messages.");
}

// Sends the message with this context; without it where it does not fit.
int send_with(const Outgoing& out, const Context& carried) noexcept {
  messaging::FieldBuffer& fields = out.session.fields;
  fields.clear();
  propagator().inject(carried, fields);
  if (fields.complete() && fields.size() == 0) return send(out.session, out.publish, out.publish.properties);
  OutgoingHeaders& headers = out.session.headers;
  if (out.room > 0 && headers.build(out.reader, fields) && headers.wire_bytes() <= out.kept + out.room) {
    amqp_basic_properties_t properties;
    if (out.publish.properties != nullptr) {
      properties = *out.publish.properties;
    } else {
      properties._flags = 0;
    }
    properties._flags |= AMQP_BASIC_HEADERS_FLAG;
    properties.headers = headers.table();
    return send(out.session, out.publish, &properties);
  }
  skip_injection();
  return send(out.session, out.publish, out.publish.properties);
}

// The span's name has no room for the many routes that share a destination; the attributes have.
void describe_route(const Destination& destination, const Publish& publish, Span& span) {
  if (!destination.summarized()) return;
  const std::string_view key = text_of(publish.routing_key);
  if (key.size() > max_id_bytes || !messaging::is_plain_text(key)) return;
  if (!key.empty()) span.set(semconv::messaging_rabbitmq_destination_routing_key, without_reply_token(key));
  DestinationName named;
  producer_destination(text_of(publish.exchange), key, named);
  if (!named.name.empty()) span.set(semconv::messaging_destination_name, named.name);
  if (named.anonymous) span.set(semconv::messaging_destination_anonymous, true);
}

void describe_message(const MessageIds& ids, std::int64_t body_size, Span& span) noexcept {
  if (!ids.id.empty()) span.set(semconv::messaging_message_id, ids.id);
  if (!ids.conversation.empty()) span.set(semconv::messaging_message_conversation_id, ids.conversation);
  if (body_size >= 0) span.set(semconv::messaging_message_body_size, body_size);
}

struct Start {
  const Destination& destination;
  const PreparedSpan& prepared;
  StartOptions options;
  const SpanContext* linked = nullptr;
  const Context* stored = nullptr;  // goes out instead of the span's own
  bool wanted = false;              // whether anything goes out
  bool fits = true;
};

// The context that goes out, given the span's own. `ambient`, which has the baggage, is used up.
int send_traced(const Outgoing& out, const Start& start, Context& ambient, const SpanContext& own) noexcept {
  if (!start.wanted) return send(out.session, out.publish, out.publish.properties);
  ambient.span = own;
  const Context& carried = start.stored != nullptr ? *start.stored : ambient;
  if (start.fits) return send_with(out, carried);
  skip_injection();
  return send(out.session, out.publish, out.publish.properties);
}

Span start_span(const Session& session, const Publish& publish, const Start& start) noexcept {
  Span span = session.options().tracer.start(start.prepared.name, start.options);
  if (!span.recording()) return span;
  const Options& user = session.options().user;
  describe_route(start.destination, publish, span);
  describe_message(ids_of(publish.properties),
                   user.capture_body_size ? static_cast<std::int64_t>(publish.body.len) : -1, span);
  describe_headers(session.endpoint(), publish.properties, span);
  run_start_hook(session.endpoint(), span,
                 {Operation::publish, start.destination.name(), publish.properties, publish.body});
  return span;
}

// The span is as long as the call.
int publish_for_the_call(const Outgoing& out, const Start& start, Context& ambient) noexcept {
  Span span = start_span(out.session, out.publish, start);
  const int status = send_traced(out, start, ambient, span.context());
  if (!span.recording()) return status;
  if (status != AMQP_STATUS_OK) span.set_error(status_name(status));
  finish_span(out.session.endpoint(), span,
              {Operation::publish, start.destination.name(), out.publish.properties, out.publish.body});
  return status;
}

// The span is kept until the confirm.
int publish_until_confirm(const Outgoing& out, const Start& start, Context& ambient, OpenPublish& open) {
  const Options& user = out.session.options().user;
  // Before anything can throw: a span that is open has a destination.
  open.destination = &start.destination;
  open.kind = start.options.kind;
  open.mandatory = out.publish.mandatory != 0;
  SpanContext own;
  if (user.on_start || !user.captured_headers.empty() || start.destination.summarized()) {
    Span span = start_span(out.session, out.publish, start);
    own = span.context();
    if (span.recording()) {
      open.rare = std::make_unique<RarePublish>();
      open.rare->has_span = true;
      open.rare->started = std::move(span);
    }
  } else {
    open.pending = out.session.options().tracer.start_pending(start.prepared.name, start.options);
    own = open.pending.context();
    if (open.pending.recording()) {
      const MessageIds ids = ids_of(out.publish.properties);
      if (start.linked != nullptr || !ids.id.empty() || !ids.conversation.empty()) {
        open.rare = std::make_unique<RarePublish>();
        if (start.linked != nullptr) open.rare->linked = *start.linked;
        open.rare->message_id = ids.id;
        open.rare->conversation_id = ids.conversation;
      }
      if (user.capture_body_size) open.body_size = static_cast<std::int64_t>(out.publish.body.len);
    }
  }
  if (start.wanted && start.fits)
    open.carried = (start.stored != nullptr ? start.stored->span : own).span_id.value;
  return send_traced(out, start, ambient, own);
}

bool is_open(const OpenPublish& open) noexcept {
  return open.pending.recording() || (open.rare != nullptr && open.rare->has_span);
}

messaging::Origin origin_of(const Session& session, const SpanContext& context) noexcept {
  const messaging::ThreadState* thread = messaging::existing_thread_state();
  const messaging::ThreadState nothing_received;
  return messaging::origin_of(session.options().user.existing_context,
                              thread != nullptr ? *thread : nothing_received, context);
}

int publish_traced(Session& session, const Publish& publish, const Destination& destination, Context& ambient,
                   const Context* stored, OpenPublish* open) {
  const PreparedSpan* prepared = session.endpoint().prepared(destination, Operation::publish);
  if (prepared == nullptr) return send(session, publish, publish.properties);
  const std::span<const std::string_view> fields = propagator().fields();
  const TableReader reader(headers_of(publish.properties), fields, true);
  const Outgoing out = outgoing(session, publish, reader);

  Context existing;
  messaging::Origin origin{messaging::Found::nothing};
  if (reader.has_fields()) {
    propagator().extract(reader, existing);
    origin = origin_of(session, existing.span);
    if (origin.found == messaging::Found::application) stored = nullptr;  // the message has one of its own
    messaging::distrust(origin.incoming, existing.span);
  }
  if (stored != nullptr) existing.span = stored->span;  // takes its place

  Context parent = ambient;
  const bool trusted = stored != nullptr || origin.incoming == IncomingContext::continue_trace;
  if (!ambient.span.valid() && trusted && messaging::says_something(existing.span))
    parent.span = existing.span;

  const bool wanted = !destination.unpropagated() && origin.found != messaging::Found::application;
  const bool fits = !wanted || (out.room > 0 && will_fit(out, stored != nullptr ? *stored : parent));
  const bool own_goes_out = wanted && fits && stored == nullptr && messaging::carries_spans(fields);
  // The context in forwarded headers is linked only where it is the parent, so that the order stays one graph
  // when nothing is current; otherwise the process span has the link.
  const bool linked =
      existing.span.valid() && (stored != nullptr || origin.found == messaging::Found::application ||
                                (origin.found == messaging::Found::received && !ambient.span.valid()));
  Link link;
  if (linked) link.context = existing.span;
  Start start{destination,
              *prepared,
              {.kind = own_goes_out ? SpanKind::producer : SpanKind::client,
               .parent = &parent,
               .links = {&link, linked ? 1U : 0U},
               .attributes = prepared->attributes},
              linked ? &existing.span : nullptr,
              stored,
              wanted,
              fits};
  return open != nullptr ? publish_until_confirm(out, start, ambient, *open)
                         : publish_for_the_call(out, start, ambient);
}

// No span: the current context goes out instead, unless the application put one there itself.
int propagate_only(Session& session, const Publish& publish, const Destination& destination,
                   const Context& carried) noexcept {
  if (destination.unpropagated() || (!messaging::says_something(carried.span) && carried.baggage.empty()))
    return send(session, publish, publish.properties);
  const TableReader reader(headers_of(publish.properties), propagator().fields(), true);
  if (reader.has_fields()) {
    Context existing;
    propagator().extract(reader, existing);
    if (origin_of(session, existing.span).found == messaging::Found::application)
      return send(session, publish, publish.properties);
  }
  return send_with(outgoing(session, publish, reader), carried);
}

// `open` takes the span that waits for the confirm; null when none is awaited.
int publish_message(Session& session, const Publish& publish, OpenPublish* open) noexcept {
  int status = AMQP_STATUS_OK;
  try {
    Context ambient = session.off() ? Context() : Context::current();
    if (session.off() || ambient.suppressed) {
      status = send(session, publish, publish.properties);
    } else {
      const Destination& destination = session.published_to(publish.exchange, publish.routing_key);
      ambient.baggage =
          messaging::allowed_baggage(session.options().user.baggage_keys, std::move(ambient.baggage));
      messaging::ThreadState* const thread = messaging::thread_state();
      Context stored;
      if (thread != nullptr && !thread->creations.empty()) [[unlikely]] {
        stored = thread->stored_context();
        stored.baggage =
            messaging::allowed_baggage(session.options().user.baggage_keys, std::move(stored.baggage));
      }
      const Context* used = stored.span.valid() ? &stored : nullptr;
      status = session.endpoint().tracing() && !destination.untraced()
                   ? publish_traced(session, publish, destination, ambient, used, open)
                   : propagate_only(session, publish, destination, used != nullptr ? stored : ambient);
    }
  } catch (...) {
    // Only before anything was sent.
    count(Counter::dropped_no_record);
    status = send(session, publish, publish.properties);
  }
  session.failed_to_send(status);
  return status;
}

}  // namespace

int publish(Session& session, const Publish& publish) noexcept {
  Channel* const channel = session.existing_channel(publish.channel);
  if (channel == nullptr || !channel->confirming) return publish_message(session, publish, nullptr);
  if (session.options().user.end_publish_at != PublishEnd::confirm) {
    const int status = publish_message(session, publish, nullptr);
    if (status == AMQP_STATUS_OK) channel->outstanding.add();
    return status;
  }
  OpenPublish open;
  const int status = publish_message(session, publish, &open);
  if (status == AMQP_STATUS_OK) {
    const std::uint64_t sequence = channel->outstanding.add();
    if (is_open(open) && channel->publishes.append(sequence, open)) {
      channel->search_credit = std::min(channel->search_credit + credit_for_publish, most_credit);
      return status;
    }
  }
  // It failed, or there is no room to wait for more confirms.
  finish_publish(session.endpoint(), std::move(open),
                 status == AMQP_STATUS_OK ? std::string_view() : status_name(status));
  return status;
}

void finish_publish(Endpoint& endpoint, OpenPublish&& publish, std::string_view error_type) noexcept {
  if (!is_open(publish)) return;
  const PreparedSpan* prepared = endpoint.prepared(*publish.destination, Operation::publish);
  if (prepared == nullptr) return;
  Span span;
  if (publish.rare != nullptr && publish.rare->has_span) {
    span = std::move(publish.rare->started);
  } else {
    Link link;
    StartOptions options{.kind = publish.kind, .attributes = prepared->attributes};
    if (publish.rare != nullptr && publish.rare->linked.valid()) {
      link.context = publish.rare->linked;
      options.links = {&link, 1};
    }
    span = endpoint.options().tracer.resume(std::move(publish.pending), prepared->name, options);
    if (!span.recording()) return;
    const MessageIds ids = publish.rare != nullptr
                               ? MessageIds{publish.rare->message_id, publish.rare->conversation_id}
                               : MessageIds{};
    describe_message(ids, publish.body_size, span);
  }
  if (!error_type.empty()) span.set_error(error_type);
  finish_span(endpoint, span, {Operation::publish, publish.destination->name()});
}

namespace {

// The broker counts otherwise: the channel had been in confirm mode before. What is open ends without its
// confirm, rather than with another message's.
std::uint64_t out_of_step(Session& session, Channel& channel) noexcept {
  if (!channel.confirming) return 0;
  report(
      Severity::warning, "amqp.confirms_out_of_step",
      "A RabbitMQ channel confirmed a message that was not published through its Connection, so its publish "
      "spans end with their calls. Select confirm mode through the Connection, and publish through it "
      "alone.");
  channel.confirming = false;
  OpenPublish open;
  while (channel.publishes.take_oldest(all, open))
    finish_publish(session.endpoint(), std::move(open), {});
  const std::uint64_t messages = channel.outstanding.count();
  channel.outstanding = Outstanding();
  return messages;
}

}  // namespace

std::uint64_t confirmed(Session& session, Channel& channel, std::uint64_t tag, bool multiple,
                        bool refused) noexcept {
  // Its predecessor's come first.
  if (channel.predecessor.count() > 0 && channel.predecessor.confirm(tag, multiple) > 0) return 0;
  if (!channel.outstanding.knows(tag)) return out_of_step(session, channel);
  const std::uint64_t messages = channel.outstanding.confirm(tag, multiple);
  const auto finish = [&](OpenPublish& open) {
    std::string_view error;
    if (open.returned != 0) error = reply_code_name(open.returned);
    if (refused) error = "nack";
    finish_publish(session.endpoint(), std::move(open), error);
  };
  OpenPublish open;
  if (!multiple) {
    if (channel.publishes.take(tag, open)) finish(open);
    return messages;
  }
  while (channel.publishes.take_oldest(tag == 0 ? all : tag, open))
    finish(open);
  return messages;
}

namespace {

// Whether a search among the open publishes may look at one more.
class SearchLimit {
 public:
  explicit SearchLimit(Channel& channel) noexcept : channel_(channel) {}
  bool reached() noexcept {
    if (channel_.search_credit > 0) {
      --channel_.search_credit;
      return false;
    }
    return looked_++ >= free_looks;
  }

 private:
  static constexpr int free_looks = 64;
  Channel& channel_;
  int looked_ = 0;
};

}  // namespace

void returned(Channel& channel, const amqp_basic_return_t& method) noexcept {
  channel.announced = {.by = Announced::By::returned};
  const std::string_view exchange = text_of(method.exchange);
  const std::string_view routing_key = text_of(method.routing_key);
  // Returns come in the order of the publishes, so those before the last one have had theirs.
  SearchLimit limit(channel);
  channel.publishes.visit_from(channel.last_returned + 1, [&](std::uint64_t tag, OpenPublish& open) {
    if (limit.reached()) return false;
    const Route& route = open.destination->route();
    const bool same =
        open.mandatory && open.returned == 0 && route.exchange == exchange &&
        (open.destination->summarized() || route.routing_key == without_reply_token(routing_key));
    if (!same) return true;
    open.returned = method.reply_code;
    channel.announced.publish = tag;
    return false;
  });
  channel.announced.reply_code = method.reply_code;
}

void returned_content(Channel& channel, const amqp_basic_properties_t* properties) noexcept {
  const std::uint64_t guess = channel.announced.publish;
  const std::uint16_t code = channel.announced.reply_code;
  channel.announced = Announced();
  OpenPublish* guessed = guess != 0 ? channel.publishes.find(guess) : nullptr;
  const std::uint64_t carried = carried_context(properties).span.span_id.value;
  // One that was sent without a context of ours is known by its route alone.
  if (carried == 0 || (guessed != nullptr && (guessed->carried == carried || guessed->carried == 0))) {
    if (guess != 0) channel.last_returned = guess;
    return;
  }
  if (guessed != nullptr) guessed->returned = 0;
  SearchLimit limit(channel);
  channel.publishes.visit_from(channel.last_returned + 1, [&](std::uint64_t tag, OpenPublish& open) {
    if (limit.reached()) return false;
    if (open.carried != carried) return true;
    open.returned = code;
    channel.last_returned = tag;
    return false;
  });
}

}  // namespace detail
}  // namespace amqp
}  // namespace v1
}  // namespace midtrace
