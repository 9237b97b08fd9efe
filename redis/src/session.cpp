#include "session.h"

#include <cerrno>
#include <charconv>
#include <optional>
#include <utility>

#include "errors.h"
#include "query_text.h"

#include <midtrace/context/context.h>
#include <midtrace/semconv/attributes.h>
#include <midtrace/trace/counters.h>
#include <midtrace/trace/instrumentation.h>
#include <midtrace/trace/tracer.h>

namespace midtrace {
inline namespace v1 {
namespace redis {
namespace detail {

namespace {

// Beyond, commands join the last batch, and databases are not followed until the next SELECT.
constexpr std::size_t most_batches = 1024;
constexpr std::size_t most_changes = 4096;
constexpr std::string_view connection_closed = "connection_closed";
constexpr std::string_view other = "_OTHER";

CommandRole role_of(const CommandPolicy* policy) noexcept {
  return policy != nullptr ? policy->role : CommandRole::plain;
}

bool ends_transaction(CommandRole role) noexcept {
  return role == CommandRole::exec || role == CommandRole::discard || role == CommandRole::reset;
}

// The number of a database; negative for what is none.
int database_of(const Command& command) noexcept {
  const std::string_view text = command.argument(1);
  int database = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), database);
  return error == std::errc() && end == text.data() + text.size() ? database : -1;
}

// CLIENT REPLY ON has one reply like every other.
bool has_one_reply(const CommandPolicy* policy, const Command& command) noexcept {
  if (policy == nullptr || !policy->has(Trait::many_replies)) return true;
  if (policy->role != CommandRole::client_reply) return false;
  const std::string_view mode = command.argument(2);
  return mode.size() == 2 && (mode[0] == 'O' || mode[0] == 'o') && (mode[1] == 'N' || mode[1] == 'n');
}

bool is_ok(const redisReply& reply) noexcept {
  return reply.type == REDIS_REPLY_STATUS && std::string_view(reply.str, reply.len) == "OK";
}

// How hiredis makes replies when it is not told otherwise.
const redisReplyObjectFunctions* default_functions() noexcept {
  static const redisReplyObjectFunctions* const functions = []() -> const redisReplyObjectFunctions* {
    redisReader* const reader = redisReaderCreate();
    if (reader == nullptr) return nullptr;
    const redisReplyObjectFunctions* const found = reader->fn;
    redisReaderFree(reader);
    return found;
  }();
  return functions;
}

// What the application is to find in errno is hiredis's.
class KeptErrno {
 public:
  KeptErrno() noexcept : number_(errno) {}
  ~KeptErrno() { errno = number_; }
  KeptErrno(const KeptErrno&) = delete;
  KeptErrno& operator=(const KeptErrno&) = delete;
  int number() const noexcept { return number_; }

 private:
  const int number_;
};

}  // namespace

Session::Session(redisContext* context, Options options)
    : context_(context),
      options_(std::move(options)),
      database_(options_.user.database),
      batches_(most_batches),
      changes_(most_changes) {
  attributes_.reserve(24);
  default_functions();
  set_peer();
}

void Session::set_peer() noexcept {
  const KeptErrno kept;
  try {
    peer_ = peer_of(*context_);
    if (!options_.server_address.empty()) {
      peer_.server_address = options_.server_address;
      peer_.server_port = options_.server_port;
    }
  } catch (...) {
    // The spans say less.
  }
}

const redisReply* Session::readable(void* reply) const noexcept {
  const bool ours = context_->reader != nullptr && context_->reader->fn == default_functions();
  return ours ? static_cast<const redisReply*>(reply) : nullptr;
}

std::string_view Session::failure(int error_before, int error_number) noexcept {
  // A context that has failed fails ever after, for the same reason; errno is no longer of it.
  if (error_before == 0) {
    last_failure_ = connection_error_name(context_->err, error_number);
  } else if (last_failure_.empty()) {
    last_failure_ = connection_error_name(context_->err, 0);
  }
  return last_failure_;
}

// --- What spans have in common.

bool Session::wants_span(Context& ambient) const noexcept {
  ambient = Context::current();
  return !ambient.suppressed && (!options_.user.only_with_parent || ambient.span.valid());
}

bool Session::too_short(std::uint64_t start_tick) const noexcept {
  const std::int64_t least = options_.user.minimum_duration.count();
  return least > 0 && tick_to_unix_nanos(current_tick()) - tick_to_unix_nanos(start_tick) < least;
}

void Session::run_hook(const Hook& hook, Span& span, const Call& call) const noexcept {
  if (!hook) return;
  try {
    hook(span, call);
  } catch (...) {
    count(Counter::hook_failures);
    report(Severity::warning, "redis.hook",
           "A Redis hook threw an exception, which was swallowed; the span goes on.");
  }
}

std::span<const Attribute> Session::attributes_of(const Described& described) {
  attributes_.clear();
  const auto put = [this](const AnyKey& key, const AttributeValue& value) {
    attributes_.push_back({key, value});
  };
  put(semconv::db_system_name, StaticString("redis"));
  if (!described.operation.empty()) put(semconv::db_operation_name, described.operation);
  const bool in_database = described.in_one_database && database_ >= 0 && !described.operation.empty();
  if (in_database) {
    const auto end =
        std::to_chars(database_text_.data(), database_text_.data() + database_text_.size(), database_).ptr;
    put(semconv::db_namespace,
        std::string_view(database_text_.data(), static_cast<std::size_t>(end - database_text_.data())));
  }
  if (!described.text.empty()) put(semconv::db_query_text, described.text);
  if (!described.procedure.empty()) put(semconv::db_stored_procedure_name, described.procedure);
  if (described.batch_size != 1)
    put(semconv::db_operation_batch_size, static_cast<std::int64_t>(described.batch_size));
  if (!peer_.server_address.empty()) {
    put(semconv::server_address, peer_.server_address);
    if (peer_.server_port != 0 && peer_.server_port != default_port)
      put(semconv::server_port, peer_.server_port);
  }
  if (!peer_.address.empty()) {
    put(semconv::network_peer_address, peer_.address);
    if (peer_.port != 0) put(semconv::network_peer_port, peer_.port);
  }
  if (options_.old_names) {
    put(semconv::deprecated_db_system, StaticString("redis"));
    if (!described.operation.empty()) put(semconv::deprecated_db_operation, described.operation);
    if (!described.text.empty()) put(semconv::deprecated_db_statement, described.text);
    if (in_database) put(semconv::deprecated_db_redis_database_index, database_);
  }
  return attributes_;
}

std::string_view Session::text_of(const CommandPolicy* policy, const Command& command, std::size_t most) {
  if (!options_.user.capture_text) return {};
  text_.resize(options_.user.max_text_bytes);
  return write_query_text(policy, command.arguments(), {text_.data(), most}).text;
}

// --- A command on its own.

Span Session::start_single(const Command& command, const CommandPolicy* policy) noexcept {
  const std::string_view operation = operation_name(policy, command.argument(0));
  Context ambient;
  if (options_.ignores(policy, operation) || !wants_span(ambient)) return {};
  const auto describe = [&]() -> std::span<const Attribute> {
    return attributes_of({.operation = operation,
                          .text = text_of(policy, command, options_.user.max_text_bytes),
                          .procedure = stored_procedure_name(policy, command.arguments())});
  };
  Span span = options_.tracer.start(
      operation, {.kind = SpanKind::client, .parent = &ambient, .lazy_attributes = describe});
  if (span.recording()) run_hook(options_.user.on_start, span, {.operation = operation});
  return span;
}

void Session::describe_reply(Span& span, const redisReply& reply) noexcept {
  if (reply.type != REDIS_REPLY_ERROR) return;
  const std::string_view message(reply.str, reply.len);
  const std::string_view prefix = error_prefix(message);
  if (!prefix.empty()) span.set(semconv::db_response_status_code, prefix);
  span.set_error(prefix.empty() ? other : prefix);
  if (const std::optional<Redirection> to = redirection_of(message))
    span.add_event(to->kind, {{semconv::midtrace_redis_cluster_slot, to->slot},
                              {semconv::midtrace_redis_cluster_node, to->node}});
}

void Session::select(const redisReply* reply, int database) noexcept {
  if (reply == nullptr) {
    database_ = -1;
  } else if (reply->type == REDIS_REPLY_STATUS) {
    database_ = database;
  }
}

void* Session::single(const Command& command, const CommandPolicy* policy) noexcept {
  Span span = start_single(command, policy);
  const std::uint64_t start_tick =
      span.recording() && options_.user.minimum_duration.count() > 0 ? current_tick() : 0;
  const int error_before = context_->err;
  void* reply = nullptr;
  const std::string_view bytes = command.bytes();
  int status = redisAppendFormattedCommand(context_, bytes.data(), bytes.size());
  if (status == REDIS_OK) status = redisGetReply(context_, &reply);
  const KeptErrno kept;
  const redisReply* const known = status == REDIS_OK && reply != nullptr ? readable(reply) : nullptr;

  const CommandRole role = role_of(policy);
  if (span.recording()) {
    const bool failed = status != REDIS_OK || (known != nullptr && known->type == REDIS_REPLY_ERROR);
    if (!failed && too_short(start_tick)) {
      span.discard();
    } else {
      if (status != REDIS_OK) span.set_error(failure(error_before, kept.number()));
      if (known != nullptr) describe_reply(span, *known);
      if (options_.user.on_finish)
        run_hook(options_.user.on_finish, span,
                 {.operation = operation_name(policy, command.argument(0)), .reply = known});
      span.end();
    }
  } else if (status != REDIS_OK) {
    failure(error_before, kept.number());
  }
  if (role == CommandRole::select) select(known, database_of(command));
  if (role == CommandRole::reset) select(known, 0);
  if (!has_one_reply(policy, command)) stop_tracking();
  return status == REDIS_OK ? reply : nullptr;
}

void* Session::command(std::string_view formatted) noexcept {
  const std::optional<Command> read = formatted_command(formatted);
  const bool waits = (context_->flags & REDIS_BLOCK) != 0;
  if (read && tracking_ && waits && batches_.empty()) {
    const CommandPolicy* const policy = policy_of(read->arguments());
    if (role_of(policy) != CommandRole::multi) return single(*read, policy);
  }
  if (append(formatted) != REDIS_OK || !waits) return nullptr;
  void* reply = nullptr;
  return get_reply(&reply) == REDIS_OK ? reply : nullptr;
}

// --- Pipelines and transactions.

int Session::append(std::string_view formatted) noexcept {
  const int status = redisAppendFormattedCommand(context_, formatted.data(), formatted.size());
  if (status != REDIS_OK || !tracking_) return status;
  const KeptErrno kept;
  // Of an empty format hiredis makes `*0`, to which there is no reply.
  if (const std::optional<Command> command = formatted_command(formatted))
    track(*command, policy_of(command->arguments()));
  return status;
}

int Session::append_unread(std::string_view bytes) noexcept {
  const int status = redisAppendFormattedCommand(context_, bytes.data(), bytes.size());
  if (status != REDIS_OK || !tracking_) return status;
  const KeptErrno kept;
  CommandReader reader(bytes);
  while (const std::optional<Command> command = reader.next()) {
    track(*command, policy_of(command->arguments()));
    if (!tracking_) return status;
  }
  if (reader.malformed()) {
    report(Severity::warning, "redis.append_formatted_command",
           "A Redis connection is not traced any further, because append_formatted_command() was given "
           "something else than whole commands, and it is not known how many replies there will be.");
    stop_tracking();
  }
  return status;
}

// What is due is still matched: replies come in order, and those first.
void Session::stop_tracking() noexcept {
  tracking_ = false;
  if (!batches_.empty() && batches_.back().open) {
    batches_.back().open = false;
    if (batches_.back().end <= replied_) finish_front();
  }
}

Batch& Session::batch_for(CommandRole role) noexcept {
  const bool transaction = role == CommandRole::multi;
  if (!batches_.empty()) {
    Batch& last = batches_.back();
    if (last.open || (!transaction && !last.transaction && !last.answered)) return last;
  }
  if (Batch* added = batches_.add()) {
    added->begin(transaction, sent_);
    return *added;
  }
  return batches_.back();
}

void Session::start_batch(Batch& batch) noexcept {
  batch.decided = true;
  Context ambient;
  if (!wants_span(ambient)) return;
  const std::string_view name = batch.transaction ? "MULTI" : "PIPELINE";
  // For the sampler; how many there will be is not known yet.
  const auto describe = [&]() -> std::span<const Attribute> { return attributes_of({.operation = name}); };
  batch.span = options_.tracer.start_pending(
      name, {.kind = SpanKind::client, .parent = &ambient, .lazy_attributes = describe});
  if (batch.span.recording() && options_.user.minimum_duration.count() > 0) batch.start_tick = current_tick();
}

void Session::track(const Command& command, const CommandPolicy* policy) noexcept {
  const CommandRole role = role_of(policy);
  Batch& batch = batch_for(role);
  const bool begins = batch.transaction && batch.first == sent_;
  const bool ends = batch.open && ends_transaction(role);
  const std::string_view operation = operation_name(policy, command.argument(0));
  const bool ignored = options_.ignores(policy, operation);

  if (begins) {
    if (ignored) batch.decided = true;
  } else if (ends) {
    batch.open = false;
    batch.ended_by = role;
  }
  if (!batch.decided && !ignored) start_batch(batch);

  if (role == CommandRole::select || (role == CommandRole::reset && !ends)) {
    const int database = role == CommandRole::select ? database_of(command) : 0;
    ++batch.selects;
    if (batch.transaction) {
      batch.last_select = batch.end - batch.first - 1;
      batch.selected = database;
    } else if (DatabaseChange* change = changes_.add()) {
      *change = {sent_, database};
    } else {
      database_ = -1;
    }
  }
  if (!begins && !ends && !ignored) {
    batch.add(policy, command.arguments());
    if (batch.wants_text()) {
      try {
        const std::size_t most = options_.user.max_text_bytes;
        batch.add_text(text_of(policy, command, most - BatchText::reserve), most);
      } catch (...) {
        // The span says less.
      }
    }
  }
  batch.end = ++sent_;
  if (!has_one_reply(policy, command)) stop_tracking();
}

int Session::get_reply(void** reply) noexcept {
  const int error_before = context_->err;
  void* got = nullptr;
  const int status = redisGetReply(context_, reply != nullptr ? &got : nullptr);
  const KeptErrno kept;
  if (status != REDIS_OK) {
    fail_all(failure(error_before, kept.number()));
    return status;
  }
  if (reply != nullptr) {
    *reply = got;
    // A connection that does not block has none yet.
    if (got != nullptr) answered(readable(got));
  } else if ((context_->flags & REDIS_BLOCK) != 0) {
    answered(nullptr);
  }
  return status;
}

void Session::answered(const redisReply* reply) noexcept {
  if (batches_.empty() || replied_ == sent_) return;
  const std::uint64_t command = replied_++;
  Batch& batch = batches_.front();
  batch.answered = true;
  const bool last = command + 1 == batch.end;
  if (reply != nullptr) batch.note_reply(*reply);
  if (!changes_.empty() && changes_.front().command == command) {
    select(reply, changes_.front().database);
    changes_.remove_front();
  }
  if (batch.transaction) {
    // The server is in no transaction then, and executes what follows at once.
    if (command == batch.first && reply != nullptr && reply->type == REDIS_REPLY_ERROR) {
      batch.open = false;
      if (batch.selects > 0) database_ = -1;
    }
    if (last && !batch.open && reply != nullptr) transaction_ended(batch, *reply);
  }
  if (last && !batch.open) finish_front();
}

void Session::transaction_ended(Batch& batch, const redisReply& reply) noexcept {
  if (batch.ended_by == CommandRole::discard || batch.ended_by == CommandRole::reset) {
    batch.discarded = reply.type == REDIS_REPLY_STATUS;
    if (batch.ended_by == CommandRole::reset) select(&reply, 0);
    return;
  }
  if (batch.ended_by != CommandRole::exec) return;
  if (reply.type == REDIS_REPLY_NIL) batch.aborted = true;
  if (reply.type != REDIS_REPLY_ARRAY) return;
  for (std::size_t index = 0; index < reply.elements; ++index)
    batch.note_reply(*reply.element[index]);
  if (batch.selects == 0) return;
  // With several, a later one may have failed where an earlier one did not.
  const bool selected = batch.last_select < reply.elements && is_ok(*reply.element[batch.last_select]);
  if (selected) {
    database_ = batch.selected;
  } else if (batch.selects > 1) {
    database_ = -1;
  }
}

void Session::finish_front() noexcept {
  finish(batches_.front());
  batches_.remove_front();
}

void Session::finish(Batch& batch) noexcept {
  if (!batch.span.recording()) return;
  if (!batch.failed() && too_short(batch.start_tick)) return batch.span.discard();
  std::array<char, 64> name_text{};
  const std::string_view name = batch.name(name_text);
  const auto describe = [&]() -> std::span<const Attribute> {
    return attributes_of({.operation = name,
                          .text = batch.text.text(),
                          .procedure = batch.procedure(),
                          .batch_size = batch.commands,
                          .in_one_database = batch.selects == 0});
  };
  Span span = options_.tracer.resume(std::move(batch.span), name,
                                     {.kind = SpanKind::client, .lazy_attributes = describe});
  if (!span.recording()) return;
  const Call call{.operation = name, .commands = batch.commands};
  run_hook(options_.user.on_start, span, call);
  if (batch.aborted) span.set(semconv::midtrace_redis_aborted, true);
  if (batch.discarded) span.set(semconv::midtrace_discarded, true);
  if (!batch.status_code().empty()) span.set(semconv::db_response_status_code, batch.status_code());
  if (batch.failed()) span.set_error(batch.error_type());
  if (const std::optional<Redirection> to = redirection_of(batch.redirection()))
    span.add_event(to->kind, {{semconv::midtrace_redis_cluster_slot, to->slot},
                              {semconv::midtrace_redis_cluster_node, to->node}});
  run_hook(options_.user.on_finish, span, call);
}

void Session::fail_all(std::string_view error_name) noexcept {
  while (!batches_.empty()) {
    batches_.front().note_failure(error_name);
    finish_front();
  }
  replied_ = sent_;
  changes_.clear();
}

void Session::close() noexcept {
  const KeptErrno kept;
  while (!batches_.empty()) {
    if (batches_.front().span.recording()) count(Counter::operations_lost);
    batches_.front().note_failure(connection_closed);
    finish_front();
  }
  replied_ = sent_;
  changes_.clear();
}

void Session::connected(std::uint64_t start_tick) noexcept {
  const KeptErrno kept;
  Context ambient;
  if (!options_.user.connect_spans || !wants_span(ambient)) return;
  const auto describe = [&]() -> std::span<const Attribute> { return attributes_of({}); };
  Span span = options_.tracer.start(
      "connect",
      {.kind = SpanKind::client, .parent = &ambient, .start_tick = start_tick, .lazy_attributes = describe});
  if (!span.recording()) return;
  run_hook(options_.user.on_start, span, {.operation = "connect"});
  if (context_->err == 0 && too_short(start_tick)) return span.discard();
  if (context_->err != 0) span.set_error(connection_error_name(context_->err, kept.number()));
  run_hook(options_.user.on_finish, span, {.operation = "connect"});
}

int Session::reconnect() noexcept {
  const std::uint64_t start_tick = options_.user.connect_spans ? current_tick() : 0;
  const int status = redisReconnect(context_);
  const KeptErrno kept;
  tracking_ = true;
  last_failure_ = {};
  database_ = 0;
  set_peer();
  connected(start_tick);
  return status;
}

}  // namespace detail
}  // namespace redis
}  // namespace v1
}  // namespace midtrace
