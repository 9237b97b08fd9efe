#include "amqp_client.h"

#include <midtrace/amqp/process.h>

namespace midtrace::bench {

namespace {

constexpr amqp_channel_t channel = 1;
// Consumer tags.
constexpr std::string_view acknowledging = "acknowledging";
constexpr std::string_view careless = "careless";
// rabbitmq-c keeps what it has decoded until it is told to let it go.
constexpr std::uint64_t release_every = 50;

bool normal(const amqp_rpc_reply_t& reply) { return reply.reply_type == AMQP_RESPONSE_NORMAL; }

}  // namespace

AmqpClient::AmqpClient(bool traced, bool confirms) : state_(amqp_new_connection()) {
  properties_._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG;
  properties_.content_type = amqp_view("application/json");
  properties_.delivery_mode = AMQP_DELIVERY_PERSISTENT;
  if (traced) traced_.emplace(state_, amqp::Options{.server_address = "broker:5672"});
  ready_ = connect(confirms);
}

AmqpClient::~AmqpClient() {
  traced_.reset();
  amqp_destroy_connection(state_);
}

bool AmqpClient::connect(bool confirms) {
  if (!wire_.carry(state_)) return false;
  wire_.put_login();
  const amqp_rpc_reply_t reply =
      traced_ ? traced_->login("/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest")
              : amqp_login(state_, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest");
  if (!normal(reply)) return false;
  const amqp_channel_open_ok_t opened{};
  wire_.put_method(channel, AMQP_CHANNEL_OPEN_OK_METHOD, &opened);
  if ((traced_ ? traced_->channel_open(channel) : amqp_channel_open(state_, channel)) == nullptr)
    return false;
  if (!add_consumer(acknowledging, false) || !add_consumer(careless, true)) return false;
  if (!confirms) return true;
  const amqp_confirm_select_ok_t selected{};
  wire_.put_method(channel, AMQP_CONFIRM_SELECT_OK_METHOD, &selected);
  return (traced_ ? traced_->confirm_select(channel) : amqp_confirm_select(state_, channel)) != nullptr;
}

bool AmqpClient::add_consumer(std::string_view tag, bool no_ack) {
  amqp_basic_consume_ok_t consuming{};
  consuming.consumer_tag = amqp_view(tag);
  wire_.put_method(channel, AMQP_BASIC_CONSUME_OK_METHOD, &consuming);
  const amqp_bytes_t queue = amqp_view("orders");
  const amqp_boolean_t quietly = no_ack ? 1 : 0;
  return (traced_ ? traced_->basic_consume(channel, queue, consuming.consumer_tag, 0, quietly, 0,
                                           amqp_empty_table)
                  : amqp_basic_consume(state_, channel, queue, consuming.consumer_tag, 0, quietly, 0,
                                       amqp_empty_table)) != nullptr;
}

void AmqpClient::publish() {
  const amqp_bytes_t exchange = amqp_view("shop");
  const amqp_bytes_t key = amqp_view("orders");
  const amqp_bytes_t body{sizeof(payload_), payload_};
  const int status = traced_ ? traced_->basic_publish(channel, exchange, key, 0, 0, &properties_, body)
                             : amqp_basic_publish(state_, channel, exchange, key, 0, 0, &properties_, body);
  if (status != AMQP_STATUS_OK) ++failures_;
}

void AmqpClient::publish_with(std::string_view header) {
  const WithHeader with(properties_, header);
  const int status = amqp_basic_publish(state_, channel, amqp_view("shop"), amqp_view("orders"), 0, 0,
                                        &with.get(), amqp_bytes_t{sizeof(payload_), payload_});
  if (status != AMQP_STATUS_OK) ++failures_;
}

void AmqpClient::put_confirms(std::size_t count, bool multiple) {
  if (multiple) {
    confirmed_ += count;
    return wire_.put_confirm(channel, confirmed_, true);
  }
  for (std::size_t i = 0; i < count; ++i)
    wire_.put_confirm(channel, ++confirmed_, false);
}

void AmqpClient::read_confirms(std::size_t count) {
  struct timeval soon {
    10, 0
  };
  for (std::size_t i = 0; i < count; ++i) {
    amqp_frame_t frame;
    const int status = traced_ ? traced_->simple_wait_frame_noblock(&frame, &soon)
                               : amqp_simple_wait_frame_noblock(state_, &frame, &soon);
    if (status != AMQP_STATUS_OK) ++failures_;
    release();
  }
}

void AmqpClient::put_deliveries(std::size_t count, std::string_view header, bool acknowledged) {
  const WithHeader with(properties_, header);
  const std::string_view body(payload_, sizeof(payload_));
  for (std::size_t i = 0; i < count; ++i)
    wire_.put_delivery(channel, acknowledged ? acknowledging : careless, ++delivered_, "shop", "orders",
                       header.empty() ? properties_ : with.get(), body);
}

bool AmqpClient::next(amqp_envelope_t& envelope) {
  struct timeval soon {
    10, 0
  };
  const bool received = normal(traced_ ? traced_->consume_message(&envelope, &soon, 0)
                                       : amqp_consume_message(state_, &envelope, &soon, 0));
  if (!received) ++failures_;
  return received;
}

void AmqpClient::ack(std::uint64_t tag, bool multiple) {
  const int status = traced_ ? traced_->basic_ack(channel, tag, multiple ? 1 : 0)
                             : amqp_basic_ack(state_, channel, tag, multiple ? 1 : 0);
  if (status != AMQP_STATUS_OK) ++failures_;
}

void AmqpClient::release() {
  if (++read_since_release_ % release_every != 0) return;
  if (traced_) {
    traced_->maybe_release_buffers();
  } else {
    amqp_maybe_release_buffers(state_);
  }
}

void AmqpClient::look_by_hand(const amqp_envelope_t& envelope) {
  const amqp_table_t& headers = envelope.message.properties.headers;
  for (int i = 0; i < headers.num_entries; ++i) {
    const amqp_table_entry_t& entry = headers.entries[i];
    if (std::string_view(static_cast<const char*>(entry.key.bytes), entry.key.len) == "traceparent")
      keep(entry.value.value.bytes.bytes);
  }
}

void AmqpClient::consume_one(bool by_hand) {
  amqp_envelope_t envelope;
  if (!next(envelope)) return;
  if (traced_) {
    auto processing = amqp::process(*traced_, envelope);
    ack(envelope.delivery_tag, false);
  } else {
    if (by_hand) look_by_hand(envelope);
    ack(envelope.delivery_tag, false);
  }
  amqp_destroy_envelope(&envelope);
  release();
}

void AmqpClient::consume_batch(std::size_t size, bool by_hand) {
  batch_.resize(size);
  for (amqp_envelope_t& envelope : batch_) {
    if (!next(envelope)) return;
    release();
  }
  if (traced_) {
    auto processing = amqp::process(*traced_, std::span<const amqp_envelope_t>(batch_));
    ack(batch_.back().delivery_tag, true);
  } else {
    if (by_hand) {
      for (const amqp_envelope_t& envelope : batch_)
        look_by_hand(envelope);
    }
    ack(batch_.back().delivery_tag, true);
  }
  for (amqp_envelope_t& envelope : batch_)
    amqp_destroy_envelope(&envelope);
}

void AmqpClient::consume_unacknowledged(bool by_hand) {
  amqp_envelope_t envelope;
  if (!next(envelope)) return;
  if (by_hand) look_by_hand(envelope);
  amqp_destroy_envelope(&envelope);
  release();
}

void AmqpClient::consume_and_leave() {
  amqp_envelope_t envelope;
  if (!next(envelope)) return;
  amqp_destroy_envelope(&envelope);
  release();
}

}  // namespace midtrace::bench
