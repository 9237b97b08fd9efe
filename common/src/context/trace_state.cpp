#include <midtrace/context/trace_state.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

#include "ascii.h"
#include "trace_state_members.h"

namespace midtrace {
inline namespace v1 {

namespace {

constexpr std::size_t longest_key = 256;
constexpr std::size_t longest_value = 256;
// Members above this length are the first to go when a header is over its budget.
constexpr std::size_t long_member = 128;

constexpr CharacterSet key_starts = CharacterSet{}.with('a', 'z').with('0', '9');
constexpr CharacterSet key_characters = key_starts.with("_-*/@");
constexpr CharacterSet value_characters = CharacterSet{}.with(' ', '~').without(",=");

bool is_key(std::string_view text) noexcept {
  return !text.empty() && text.size() <= longest_key && key_starts.contains(text.front()) &&
         key_characters.contains_all(text);
}

bool is_value(std::string_view text) noexcept {
  return !text.empty() && text.size() <= longest_value && text.back() != ' ' &&
         value_characters.contains_all(text);
}

std::string_view key_of(std::string_view member) noexcept { return member.substr(0, member.find('=')); }
std::string_view value_of(std::string_view member) noexcept { return member.substr(member.find('=') + 1); }

char* append(char* out, std::string_view text) noexcept {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

char* join(char* out, std::span<const std::string_view> members) noexcept {
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (i != 0) *out++ = ',';
    out = append(out, members[i]);
  }
  return out;
}

std::size_t joined_size(std::span<const std::string_view> members) noexcept {
  std::size_t size = members.empty() ? 0 : members.size() - 1;
  for (const std::string_view member : members)
    size += member.size();
  return size;
}

// Of a value's own text, which needs no checks.
TraceStateMembers members_of(std::string_view header) noexcept {
  TraceStateMembers members;
  while (!header.empty())
    members.items[members.size++] = take_until(header, ',');
  return members;
}

void remove(TraceStateMembers& members, std::size_t index) noexcept {
  --members.size;
  for (std::size_t i = index; i < members.size; ++i)
    members.items[i] = members.items[i + 1];
}

void remove_key(TraceStateMembers& members, std::string_view key) noexcept {
  for (std::size_t i = members.size; i-- > 0;)
    if (key_of(members.items[i]) == key) remove(members, i);
}

}  // namespace

bool split_trace_state(std::string_view header, TraceStateMembers& members) noexcept {
  members.size = 0;
  std::size_t seen = 0;
  while (!header.empty()) {
    const std::string_view member = trim(take_until(header, ','));
    if (member.empty()) continue;
    if (++seen > TraceState::max_members) return false;
    const std::size_t equals = member.find('=');
    if (equals == std::string_view::npos) return false;
    const std::string_view key = member.substr(0, equals);
    if (!is_key(key) || !is_value(member.substr(equals + 1))) return false;
    bool duplicate = false;
    for (const std::string_view earlier : members.view())
      duplicate = duplicate || key_of(earlier) == key;
    if (!duplicate) members.items[members.size++] = member;
  }
  return true;
}

void TraceState::Block::retain() const noexcept {
  std::atomic_ref(references_).fetch_add(1, std::memory_order_relaxed);
}

void TraceState::Block::release() const noexcept {
  if (std::atomic_ref(references_).fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  this->~Block();
  std::free(const_cast<Block*>(this));
}

std::optional<TraceState> TraceState::make(std::span<const std::string_view> members) noexcept {
  if (members.empty()) return TraceState();
  const std::size_t length = joined_size(members);
  void* const memory = std::malloc(sizeof(Block) + length);
  if (memory == nullptr) return std::nullopt;
  Block* const block = ::new (memory) Block();
  block->members_ = static_cast<unsigned>(members.size());
  block->length_ = length;
  join(reinterpret_cast<char*>(block + 1), members);
  return TraceState(CountedPointer<Block>::adopt(block));
}

TraceState TraceState::parse(std::string_view header) noexcept {
  TraceStateMembers members;
  if (!split_trace_state(header, members)) return TraceState();
  return make(members.view()).value_or(TraceState());
}

std::size_t TraceState::size() const noexcept { return block_ ? block_->members_ : 0; }

std::string_view TraceState::header() const noexcept {
  if (!block_) return {};
  return {reinterpret_cast<const char*>(block_.get() + 1), block_->length_};
}

std::optional<std::string_view> TraceState::get(std::string_view key) const noexcept {
  std::string_view rest = header();
  while (!rest.empty()) {
    const std::string_view member = take_until(rest, ',');
    if (key_of(member) == key) return value_of(member);
  }
  return std::nullopt;
}

TraceState TraceState::with(std::string_view key, std::string_view value) const noexcept {
  if (!is_key(key) || !is_value(value)) return *this;
  TraceStateMembers members = members_of(header());
  remove_key(members, key);
  if (members.size == max_members) --members.size;

  char first[longest_key + 1 + longest_value];
  char* end = append(first, key);
  *end++ = '=';
  end = append(end, value);
  for (std::size_t i = members.size; i > 0; --i)
    members.items[i] = members.items[i - 1];
  members.items[0] = std::string_view(first, static_cast<std::size_t>(end - first));
  ++members.size;
  return make(members.view()).value_or(*this);
}

TraceState TraceState::without(std::string_view key) const noexcept {
  if (!get(key)) return *this;
  TraceStateMembers members = members_of(header());
  remove_key(members, key);
  return make(members.view()).value_or(*this);
}

std::size_t TraceState::write(char* out, std::size_t budget) const noexcept {
  const std::string_view whole = header();
  if (whole.empty()) return 0;
  if (whole.size() <= budget) {
    append(out, whole);
    return whole.size();
  }
  TraceStateMembers members = members_of(whole);
  for (std::size_t i = members.size; i-- > 0 && joined_size(members.view()) > budget;)
    if (members.items[i].size() > long_member) remove(members, i);
  while (joined_size(members.view()) > budget)
    --members.size;
  return static_cast<std::size_t>(join(out, members.view()) - out);
}

void TraceState::for_each(FunctionRef<void(std::string_view key, std::string_view value)> visit) const {
  std::string_view rest = header();
  while (!rest.empty()) {
    const std::string_view member = take_until(rest, ',');
    visit(key_of(member), value_of(member));
  }
}

}  // namespace v1
}  // namespace midtrace
