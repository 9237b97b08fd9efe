#include <midtrace/context/baggage.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <span>

#include "ascii.h"
#include "baggage_builder.h"
#include "hex.h"

namespace midtrace {
inline namespace v1 {

namespace {

static_assert(sizeof(Baggage::Block) % alignof(Baggage::Member) == 0, "members follow the block");

std::span<const Baggage::Member> members_of(const Baggage::Block* block, std::size_t size) noexcept {
  return {reinterpret_cast<const Baggage::Member*>(block + 1), size};
}

std::string_view append(char*& out, std::string_view text) noexcept {
  char* const begin = out;
  std::copy_n(text.data(), text.size(), begin);
  out += text.size();
  return {begin, text.size()};
}

// One byte of percent-encoded text at a time.
class EncodedBytes {
 public:
  explicit EncodedBytes(std::string_view text) noexcept : rest_(text) {}

  bool empty() const noexcept { return rest_.empty(); }
  std::uint8_t peek() const noexcept {
    if (!encoded()) return static_cast<std::uint8_t>(rest_[0]);
    return static_cast<std::uint8_t>(any_case_digit(rest_[1]) << 4 | any_case_digit(rest_[2]));
  }
  void skip() noexcept { rest_.remove_prefix(encoded() ? 3 : 1); }

 private:
  static unsigned any_case_digit(char c) noexcept {
    return hex::digit(c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c);
  }
  bool encoded() const noexcept {
    return rest_[0] == '%' && rest_.size() >= 3 && any_case_digit(rest_[1]) < 16 &&
           any_case_digit(rest_[2]) < 16;
  }

  std::string_view rest_;
};

// What may follow the first byte of a UTF-8 sequence: how many bytes, and the range of the first of them.
struct Continuation {
  unsigned count;
  std::uint8_t low;
  std::uint8_t high;
};

Continuation continuation_of(std::uint8_t lead) noexcept {
  if (lead < 0x80) return {0, 0, 0};
  if (lead >= 0xC2 && lead <= 0xDF) return {1, 0x80, 0xBF};
  if (lead == 0xE0) return {2, 0xA0, 0xBF};  // below: overlong
  if (lead == 0xED) return {2, 0x80, 0x9F};  // above: surrogates
  if (lead >= 0xE1 && lead <= 0xEF) return {2, 0x80, 0xBF};
  if (lead == 0xF0) return {3, 0x90, 0xBF};  // below: overlong
  if (lead >= 0xF1 && lead <= 0xF3) return {3, 0x80, 0xBF};
  if (lead == 0xF4) return {3, 0x80, 0x8F};  // above: beyond U+10FFFF
  return {1, 1, 0};                          // never a first byte: an empty range, so that nothing follows
}

}  // namespace

std::size_t percent_decode(std::string_view text, char* out) noexcept {
  const char* const begin = out;
  for (EncodedBytes bytes(text); !bytes.empty();) {
    char sequence[4];
    std::size_t size = 0;
    const std::uint8_t lead = bytes.peek();
    sequence[size++] = static_cast<char>(lead);
    bytes.skip();
    Continuation next = continuation_of(lead);
    for (; next.count > 0 && !bytes.empty(); --next.count) {
      const std::uint8_t byte = bytes.peek();
      if (byte < next.low || byte > next.high) break;
      sequence[size++] = static_cast<char>(byte);
      bytes.skip();
      next.low = 0x80;
      next.high = 0xBF;
    }
    append(out, next.count == 0 ? std::string_view(sequence, size) : std::string_view("\xEF\xBF\xBD"));
  }
  return static_cast<std::size_t>(out - begin);
}

std::size_t BaggageBuilder::bytes_of(const Baggage::Member& member) const noexcept {
  const std::size_t texts = member.name.size() + member.value.size() + member.metadata.size();
  if (measure_ == Measure::texts) return texts;
  return texts + (member.metadata.empty() ? 2 : 3);  // '=', ',' and ';'
}

std::size_t BaggageBuilder::index_of(std::string_view name) const noexcept {
  std::size_t index = 0;
  while (index < size_ && entries_[index].member.name != name)
    ++index;
  return index;
}

bool BaggageBuilder::set(const Baggage::Member& member, Value form) noexcept {
  // A header has one comma less than it has members.
  const std::size_t limit = Baggage::max_bytes + (measure_ == Measure::header ? 1 : 0);
  const std::size_t bytes = bytes_of(member);
  if (bytes > limit) return false;
  const std::size_t index = index_of(member.name);
  const std::size_t replaced = index < size_ ? bytes_of(entries_[index].member) : 0;
  if (index == Baggage::max_members || bytes_ - replaced + bytes > limit) return false;
  entries_[index] = {member, form};
  bytes_ = bytes_ - replaced + bytes;
  if (index == size_) ++size_;
  return true;
}

void BaggageBuilder::set_all(const Baggage& baggage) noexcept {
  baggage.for_each([this](const Baggage::Member& member) {
    entries_[size_++].member = member;
    bytes_ += bytes_of(member);
  });
}

void BaggageBuilder::remove(std::string_view name) noexcept {
  const std::size_t index = index_of(name);
  if (index == size_) return;
  bytes_ -= bytes_of(entries_[index].member);
  std::move(entries_.begin() + static_cast<std::ptrdiff_t>(index) + 1,
            entries_.begin() + static_cast<std::ptrdiff_t>(size_),
            entries_.begin() + static_cast<std::ptrdiff_t>(index));
  --size_;
}

bool BaggageBuilder::build(Baggage& baggage) const noexcept {
  if (size_ == 0) {
    baggage = Baggage();
    return true;
  }
  // bytes_ is enough for the texts in either measure, since decoding never makes them longer.
  void* const memory = std::malloc(sizeof(Baggage::Block) + size_ * sizeof(Baggage::Member) + bytes_);
  if (memory == nullptr) return false;
  Baggage::Block* const block = ::new (memory) Baggage::Block();
  block->size_ = static_cast<unsigned>(size_);
  auto* const members = reinterpret_cast<Baggage::Member*>(block + 1);
  char* out = reinterpret_cast<char*>(members + size_);
  for (std::size_t i = 0; i < size_; ++i) {
    const auto& [member, form] = entries_[i];
    Baggage::Member* const made = ::new (members + i) Baggage::Member();
    made->name = append(out, member.name);
    if (form == Value::plain) {
      made->value = append(out, member.value);
    } else {
      made->value = {out, percent_decode(member.value, out)};
      out += made->value.size();
    }
    if (!member.metadata.empty()) made->metadata = append(out, member.metadata);
  }
  baggage = Baggage(CountedPointer<Baggage::Block>::adopt(block));
  return true;
}

void Baggage::Block::retain() const noexcept {
  std::atomic_ref(references_).fetch_add(1, std::memory_order_relaxed);
}

void Baggage::Block::release() const noexcept {
  if (std::atomic_ref(references_).fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  this->~Block();
  std::free(const_cast<Block*>(this));
}

std::size_t Baggage::size() const noexcept { return block_ ? block_->size_ : 0; }

std::optional<Baggage::Member> Baggage::find(std::string_view name) const noexcept {
  if (block_)
    for (const Member& member : members_of(block_.get(), block_->size_))
      if (member.name == name) return member;
  return std::nullopt;
}

std::optional<std::string_view> Baggage::get(std::string_view name) const noexcept {
  const auto member = find(name);
  if (!member) return std::nullopt;
  return member->value;
}

Baggage Baggage::with(std::string_view name, std::string_view value,
                      std::string_view metadata) const noexcept {
  Baggage result = *this;
  if (name.empty()) return result;
  BaggageBuilder builder(BaggageBuilder::Measure::texts);
  builder.set_all(*this);
  if (builder.set({name, value, metadata}, BaggageBuilder::Value::plain)) builder.build(result);
  return result;
}

Baggage Baggage::without(std::string_view name) const noexcept {
  Baggage result = *this;
  if (!find(name)) return result;
  BaggageBuilder builder(BaggageBuilder::Measure::texts);
  builder.set_all(*this);
  builder.remove(name);
  builder.build(result);
  return result;
}

Baggage Baggage::only(FunctionRef<bool(std::string_view name)> wanted) const noexcept {
  if (!block_) return *this;
  // Usually all are wanted or none is, and nothing is copied. Each is asked about once.
  std::array<bool, max_members> keeps{};
  std::size_t kept = 0;
  const std::span<const Member> members = members_of(block_.get(), block_->size_);
  for (std::size_t i = 0; i < members.size(); ++i) {
    keeps[i] = wanted(members[i].name);
    if (keeps[i]) ++kept;
  }
  if (kept == members.size()) return *this;
  Baggage result;
  if (kept == 0) return result;
  BaggageBuilder builder(BaggageBuilder::Measure::texts);
  for (std::size_t i = 0; i < members.size(); ++i)
    if (keeps[i]) builder.set(members[i], BaggageBuilder::Value::plain);
  builder.build(result);
  return result;
}

void Baggage::for_each(FunctionRef<void(const Member&)> visit) const {
  if (!block_) return;
  for (const Member& member : members_of(block_.get(), block_->size_))
    visit(member);
}

// The order of members means nothing.
bool operator==(const Baggage& a, const Baggage& b) noexcept {
  if (a.block_.get() == b.block_.get()) return true;
  if (a.size() != b.size()) return false;
  for (const Baggage::Member& member : members_of(a.block_.get(), a.size())) {
    const auto other = b.find(member.name);
    if (!other || other->value != member.value || other->metadata != member.metadata) return false;
  }
  return true;
}

}  // namespace v1
}  // namespace midtrace
