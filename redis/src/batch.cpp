#include "batch.h"

#include <algorithm>
#include <cstring>

#include "errors.h"
#include "query_text.h"

namespace midtrace {
inline namespace v1 {
namespace redis {
namespace detail {

namespace {

constexpr std::string_view other = "_OTHER";
constexpr std::size_t most_procedure_bytes = most_name_bytes;

constexpr char small(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_name(std::string_view one, std::string_view two) noexcept {
  return one == two || std::equal(one.begin(), one.end(), two.begin(), two.end(),
                                  [](char a, char b) { return small(a) == small(b); });
}

// Without memory it is empty.
void assign(std::string& to, std::string_view text) noexcept {
  try {
    to.assign(text);
  } catch (...) {
    to.clear();
  }
}

}  // namespace

void Batch::begin(bool of_transaction, std::uint64_t command) noexcept {
  first = command;
  end = command;
  commands = 0;
  start_tick = 0;
  text.clear();
  decided = false;
  answered = false;
  transaction = of_transaction;
  open = of_transaction;
  ended_by = CommandRole::plain;
  aborted = false;
  discarded = false;
  selects = 0;
  operation_size_ = 0;
  same_operation_ = true;
  same_procedure_ = true;
  procedure_.clear();
  error_type_.clear();
  status_code_.clear();
  redirection_.clear();
}

void Batch::add(const CommandPolicy* policy, Arguments command) noexcept {
  ++commands;
  // What is not recorded needs no name.
  if (!span.recording()) return;
  Arguments names = command;
  const std::string_view operation = operation_name(policy, names.take());
  const std::string_view procedure = stored_procedure_name(policy, command);
  if (commands == 1) {
    operation_size_ = static_cast<std::uint8_t>(std::min(operation.size(), operation_.size()));
    std::memcpy(operation_.data(), operation.data(), operation_size_);
    assign(procedure_, procedure.substr(0, most_procedure_bytes));
    return;
  }
  if (same_operation_) same_operation_ = same_name({operation_.data(), operation_size_}, operation);
  if (same_procedure_) same_procedure_ = procedure_ == procedure;
}

void Batch::note_reply(const redisReply& reply) noexcept {
  if (reply.type != REDIS_REPLY_ERROR) return;
  const std::string_view message(reply.str, reply.len);
  if (redirection_.empty() && span.recording() && redirection_of(message)) assign(redirection_, message);
  if (failed()) return;
  const std::string_view prefix = error_prefix(message);
  assign(error_type_, prefix.empty() ? other : prefix);
  assign(status_code_, prefix);
}

void Batch::note_failure(std::string_view error_name) noexcept {
  if (!failed()) assign(error_type_, error_name);
}

std::string_view Batch::name(std::array<char, 64>& into) const noexcept {
  const std::string_view operation(operation_.data(), operation_size_);
  std::size_t size = 0;
  const auto put = [&](std::string_view part) {
    std::memcpy(into.data() + size, part.data(), part.size());
    size += part.size();
  };
  if (!is_plain_command()) put(transaction ? "MULTI" : "PIPELINE");
  if (commands > 0 && same_operation_ && !operation.empty()) {
    if (size > 0) put(" ");
    put(operation);
  }
  return {into.data(), size};
}

}  // namespace detail
}  // namespace redis
}  // namespace v1
}  // namespace midtrace
