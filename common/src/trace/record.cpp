#include "record.h"

#include <algorithm>
#include <bit>
#include <memory>
#include <new>

#include <midtrace/trace/counters.h>

#include "record_pool.h"

namespace midtrace {
inline namespace v1 {

namespace {

constexpr std::size_t alignment = 8;

// The slow way: a slab more.
[[gnu::noinline]] char* allocate_in_slab(SpanRecord& record, std::size_t size) noexcept {
  if (record.totals.slab_bytes + size > record.limits->span_bytes) return nullptr;
  Slab* slab = take_slab(size);
  if (slab == nullptr) return nullptr;
  slab->next = record.totals.slabs;
  record.totals.slabs = slab;
  record.totals.slab_bytes += static_cast<std::uint32_t>(slab->bytes);
  // What is left of a large value's own slab is too little to go on with.
  if (slab->home == nullptr) return slab->begin();
  record.text = slab->begin() + size;
  record.text_end = slab->end();
  return slab->begin();
}

// Memory that lives as long as the record. Null when the span's budget or the process's is used up.
[[gnu::always_inline]] inline char* allocate(SpanRecord& record, std::size_t size,
                                             std::size_t align = 1) noexcept {
  const std::size_t padding = (align - (reinterpret_cast<std::uintptr_t>(record.text) % align)) % align;
  if (static_cast<std::size_t>(record.text_end - record.text) >= padding + size) [[likely]] {
    char* start = record.text + padding;
    record.text = start + size;
    return start;
  }
  return allocate_in_slab(record, size);
}

template <class Type>
Type* allocate_array(SpanRecord& record, std::size_t count) noexcept {
  static_assert(alignof(Type) <= alignment);
  return reinterpret_cast<Type*>(allocate(record, count * sizeof(Type), alignment));
}

constexpr std::size_t short_text = 32;

// Copies at most `short_text` bytes without a call: most values are no longer.
[[gnu::always_inline]] inline void copy_short(char* to, const char* from, std::size_t size) noexcept {
  const auto copy_both_ends = [&](auto width) {
    std::memcpy(to, from, width);
    std::memcpy(to + size - width, from + size - width, width);
  };
  if (size >= 16) {
    copy_both_ends(std::integral_constant<std::size_t, 16>());
  } else if (size >= 8) {
    copy_both_ends(std::integral_constant<std::size_t, 8>());
  } else if (size >= 4) {
    copy_both_ends(std::integral_constant<std::size_t, 4>());
  } else if (size != 0) {
    to[0] = from[0];
    to[size / 2] = from[size / 2];
    to[size - 1] = from[size - 1];
  }
}

constexpr int most_continuation_bytes = 3;  // of one UTF-8 character

bool continues_character(char byte) noexcept { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U; }

// How many bytes of `text` hold at most `characters` characters, and never a part of one. Bytes that belong
// to no character count as one each, so that text in no encoding is bounded too.
std::size_t bytes_of_characters(std::string_view text, std::uint32_t characters) noexcept {
  if (text.size() <= characters) return text.size();
  std::size_t seen = 0;
  int continuation = most_continuation_bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (continues_character(text[i]) && continuation < most_continuation_bytes) {
      ++continuation;
      continue;
    }
    if (seen == characters) return i;
    ++seen;
    continuation = continues_character(text[i]) ? most_continuation_bytes : 0;
  }
  return text.size();
}

// The most of `text`, up to `bytes`, that does not end inside a character.
std::string_view cut_to_character(std::string_view text, std::size_t bytes) noexcept {
  if (text.size() <= bytes) return text;
  std::size_t cut = bytes;
  for (int back = 0; back < most_continuation_bytes && cut > 0 && continues_character(text[cut]); ++back)
    --cut;
  return text.substr(0, continues_character(text[cut]) ? bytes : cut);
}

// As much of `text` as the span, and then the process, may still hold.
[[gnu::noinline]] std::string_view copy_what_fits(SpanRecord& record, std::string_view text) noexcept {
  count(Counter::truncated_values);
  const std::uint32_t left = record.limits->span_bytes > record.totals.slab_bytes
                                 ? record.limits->span_bytes - record.totals.slab_bytes
                                 : 0;
  const auto at_hand = static_cast<std::size_t>(record.text_end - record.text);
  const std::size_t in_a_slab = left > sizeof(Slab) ? left - sizeof(Slab) : 0;
  for (const std::size_t room : {std::max(at_hand, in_a_slab), at_hand}) {
    const std::string_view part = cut_to_character(text, room);
    if (part.empty()) break;
    if (char* memory = allocate(record, part.size()); memory != nullptr) {
      std::memcpy(memory, part.data(), part.size());
      return {memory, part.size()};
    }
  }
  return {record.inline_text, 0};
}

// A copy of `text`, cut to the value limit and to what the span may still hold.
[[gnu::always_inline]] inline std::string_view copy_text(SpanRecord& record, std::string_view text,
                                                         std::uint32_t character_limit) noexcept {
  if (character_limit != SpanLimits::unlimited) [[unlikely]] {
    const std::size_t size = bytes_of_characters(text, character_limit);
    if (size < text.size()) {
      count(Counter::truncated_values);
      text = text.substr(0, size);
    }
  }
  if (text.empty()) return {record.inline_text, 0};
  char* memory = allocate(record, text.size());
  if (memory == nullptr) [[unlikely]]
    return copy_what_fits(record, text);
  if (text.size() <= short_text) [[likely]] {
    copy_short(memory, text.data(), text.size());
  } else {
    std::memcpy(memory, text.data(), text.size());
  }
  return {memory, text.size()};
}

// Whether `copy`, all of `wanted` that could be copied, is to replace `size` bytes that are there: a text
// that had to be cut for want of memory does so only when there is more of it.
bool is_better(std::string_view copy, std::string_view wanted, std::uint32_t character_limit,
               std::size_t size) noexcept {
  return copy.size() > size || copy.size() == bytes_of_characters(wanted, character_limit);
}

// The value in memory of the record's own; what describes it goes into the slot's payload and `size`.
bool copy_value(SpanRecord& record, const AttributeValue& value, AttributeSlot::Payload& payload,
                std::size_t& size) noexcept {
  const std::uint32_t limit = record.limits->attribute_value_length;
  size = std::min<std::size_t>(value.size(), 0xFFFFFFFFU);
  switch (value.type()) {
    case AttributeType::boolean:
      payload.integer = 0;
      payload.boolean = value.as_boolean();
      return true;
    case AttributeType::integer:
      payload.integer = value.as_integer();
      return true;
    case AttributeType::real:
      payload.real = value.as_real();
      return true;
    case AttributeType::string: {
      std::string_view text = value.as_string();
      if (!value.is_static() || text.size() > limit) text = copy_text(record, text, limit);
      payload.pointer = text.data();
      size = text.size();
      return true;
    }
    case AttributeType::string_array: {
      const auto source = value.as_string_array();
      auto* copy = allocate_array<std::string_view>(record, source.size());
      if (copy == nullptr) return false;
      for (std::size_t i = 0; i < source.size(); ++i) {
        new (copy + i) std::string_view(copy_text(record, source[i], limit));
      }
      payload.pointer = copy;
      return true;
    }
    case AttributeType::boolean_array:
    case AttributeType::integer_array:
    case AttributeType::real_array: {
      const std::size_t width = value.type() == AttributeType::boolean_array ? sizeof(bool) : 8;
      auto* copy = allocate_array<std::int64_t>(record, (value.size() * width + 7) / 8);
      if (copy == nullptr) return false;
      if (value.size() != 0) std::memcpy(copy, value.as_boolean_array().data(), value.size() * width);
      payload.pointer = copy;
      return true;
    }
  }
  return false;
}

// The key's text in memory that lives as long as the record; null when there is none.
const char* keep_key(SpanRecord& record, const AnyKey& key) noexcept {
  if (key.name().empty()) return nullptr;
  if (key.is_static()) return key.name().data();
  const std::string_view copy = copy_text(record, key.name(), SpanLimits::unlimited);
  return copy.size() == key.name().size() ? copy.data() : nullptr;  // half a name is another name
}

[[gnu::noinline]] AttributeSlot* find(SpanRecord& record, const AnyKey& key) noexcept {
  record.close_attributes();
  for (AttributeStorage* run = &record.attributes; run != nullptr; run = run->next) {
    for (std::uint32_t i = 0; i < run->size; ++i) {
      AttributeSlot& slot = run->slots[i];
      if ((slot.descriptor & AnyKey::identity_bits) == key.identity() &&
          (slot.key == key.name().data() ||
           std::memcmp(slot.key, key.name().data(), key.name().size()) == 0)) {
        return &slot;
      }
    }
  }
  return nullptr;
}

// A further run of slots; the first is inline, and each ends at the limit.
[[gnu::noinline]] bool add_run(SpanRecord& record) noexcept {
  constexpr std::uint32_t run_length = 16;
  const std::uint32_t count = record.attribute_count();
  if (count >= record.limits->attribute_count) return false;
  auto* run = allocate_array<AttributeStorage>(record, 1);
  auto* slots = run == nullptr ? nullptr : allocate_array<AttributeSlot>(record, run_length);
  if (slots == nullptr) return false;
  record.close_attributes();
  new (run) AttributeStorage{slots, nullptr, 0};
  record.last_attributes->next = run;
  record.last_attributes = run;
  record.totals.earlier_attributes = count;
  record.next_slot = slots;
  record.end_slot = slots + std::min(run_length, record.limits->attribute_count - count);
  return true;
}

// The attributes of an event or a link: an exact run.
AttributeStorage copy_attributes(SpanRecord& record, std::span<const Attribute> attributes,
                                 std::uint32_t limit, std::uint32_t& dropped) noexcept {
  AttributeStorage storage{nullptr, nullptr, 0};
  const std::size_t wanted = std::min<std::size_t>(attributes.size(), limit);
  if (wanted != 0) storage.slots = allocate_array<AttributeSlot>(record, wanted);
  std::size_t kept = 0;  // attributes of the caller's, of which several may have one key
  if (storage.slots != nullptr) {
    for (const Attribute& attribute : attributes) {
      AttributeSlot* slot = nullptr;
      for (std::uint32_t i = 0; i < storage.size; ++i) {
        if (storage.slots[i].key_view() == attribute.key.name()) slot = &storage.slots[i];
      }
      const bool is_new = slot == nullptr;
      if (is_new && storage.size == wanted) continue;
      AttributeSlot made{};
      std::size_t size = 0;
      made.key = is_new ? keep_key(record, attribute.key) : slot->key;
      if (made.key == nullptr || !copy_value(record, attribute.value, made.payload, size)) continue;
      made.descriptor = AttributeSlot::describe(attribute.key, attribute.value.type(), size);
      if (is_new) slot = &storage.slots[storage.size++];
      *slot = made;
      ++kept;
    }
  }
  dropped = static_cast<std::uint32_t>(attributes.size() - kept);
  if (dropped != 0) count(Counter::dropped_attributes, dropped);
  return storage;
}

}  // namespace

AttributeValue AttributeSlot::value() const noexcept {
  switch (type()) {
    case AttributeType::string:
      return std::string_view(static_cast<const char*>(payload.pointer), size());
    case AttributeType::boolean:
      return payload.boolean;
    case AttributeType::integer:
      return payload.integer;
    case AttributeType::real:
      return payload.real;
    case AttributeType::string_array:
      return std::span<const std::string_view>(static_cast<const std::string_view*>(payload.pointer), size());
    case AttributeType::boolean_array:
      return std::span<const bool>(static_cast<const bool*>(payload.pointer), size());
    case AttributeType::integer_array:
      return std::span<const std::int64_t>(static_cast<const std::int64_t*>(payload.pointer), size());
    case AttributeType::real_array:
      return std::span<const double>(static_cast<const double*>(payload.pointer), size());
  }
  return false;
}

void begin_record(SpanRecord& record, std::string_view name) noexcept {
  record.status = StatusCode::unset;
  record.name_size = 0;
  record.text = record.inline_text;
  record.text_end = record.inline_text + sizeof(record.inline_text);
  record.attributes = {record.inline_slots, nullptr, 0};
  record.last_attributes = &record.attributes;
  record.next_slot = record.inline_slots;
  record.end_slot = record.inline_slots +
                    std::min<std::size_t>(SpanRecord::inline_attributes, record.limits->attribute_count);
  record.totals = RecordTotals{};
  record_name(record, name);
}

void clear_record(SpanRecord& record) noexcept {
  for (LinkNode* link = record.totals.first_link; link != nullptr; link = link->next)
    std::destroy_at(link);
  record.totals.first_link = nullptr;
  record.context.trace_state = TraceState();
  if (record.totals.slabs != nullptr) give_back_slabs(record.totals.slabs);
  record.totals.slabs = nullptr;
}

void record_name(SpanRecord& record, std::string_view name) noexcept {
  const std::string_view copy = copy_text(record, name, SpanLimits::unlimited);
  if (!is_better(copy, name, SpanLimits::unlimited, record.name_size)) return;
  record.name = copy.data();
  record.name_size = static_cast<std::uint32_t>(copy.size());
}

namespace {

[[gnu::noinline, gnu::cold]] void drop_attribute(SpanRecord& record) noexcept {
  ++record.totals.dropped_attributes;
  count(Counter::dropped_attributes);
}

[[gnu::always_inline]] inline std::uint64_t filter_bit(const AnyKey& key) noexcept {
  return 1ULL << (key.filter_index() % 64);
}
[[gnu::always_inline]] inline std::uint64_t& filter_word(SpanRecord& record, const AnyKey& key) noexcept {
  return record.totals.key_filter[key.filter_index() / 64];
}

// The slot that `key` names: an earlier one of the same key, or a new one. Null when the attribute cannot be
// kept; that is counted. The caller writes the payload and the descriptor.
AttributeSlot* slot_for(SpanRecord& record, const AnyKey& key) noexcept {
  if ((filter_word(record, key) & filter_bit(key)) != 0) {
    if (AttributeSlot* earlier = find(record, key)) return earlier;
  }
  const char* name = record.next_slot != record.end_slot || add_run(record) ? keep_key(record, key) : nullptr;
  if (name == nullptr) {
    drop_attribute(record);
    return nullptr;
  }
  record.next_slot->key = name;
  filter_word(record, key) |= filter_bit(key);
  return record.next_slot;
}

// Any key and any value.
[[gnu::noinline]] void record_slowly(SpanRecord& record, const AnyKey& key,
                                     const AttributeValue& value) noexcept {
  AttributeSlot* slot = slot_for(record, key);
  if (slot == nullptr) return;
  AttributeSlot::Payload payload{};
  std::size_t size = 0;
  // The value's memory may be a new slab, never a new run: `slot` stays what it is.
  if (!copy_value(record, value, payload, size)) return drop_attribute(record);
  if (slot != record.next_slot && value.type() == AttributeType::string &&
      !is_better({static_cast<const char*>(payload.pointer), size}, value.as_string(),
                 record.limits->attribute_value_length,
                 slot->type() == AttributeType::string ? slot->size() : 0))
    return;
  slot->payload = payload;
  slot->descriptor = AttributeSlot::describe(key, value.type(), size);
  if (slot == record.next_slot) ++record.next_slot;
}

// The usual case, without a call: a constant key that was not set before, and a slot left. Null otherwise,
// and then nothing has changed.
[[gnu::always_inline]] inline AttributeSlot* take_slot(SpanRecord& record, const AnyKey& key) noexcept {
  std::uint64_t& filter = filter_word(record, key);
  const std::uint64_t bit = filter_bit(key);
  AttributeSlot* slot = record.next_slot;
  if ((filter & bit) != 0 || slot == record.end_slot || !key.is_static()) [[unlikely]]
    return nullptr;
  filter |= bit;
  record.next_slot = slot + 1;
  slot->key = key.name().data();
  return slot;
}

}  // namespace

void record_attribute(SpanRecord& record, const AnyKey& key, const AttributeValue& value) noexcept {
  switch (value.type()) {
    case AttributeType::string:
      return value.is_static() ? record_static_string(record, key, value.as_string())
                               : record_string(record, key, value.as_string());
    case AttributeType::boolean:
      return record_boolean(record, key, value.as_boolean());
    case AttributeType::integer:
      return record_integer(record, key, value.as_integer());
    case AttributeType::real:
      return record_real(record, key, value.as_real());
    default:
      return record_slowly(record, key, value);
  }
}

void record_string(SpanRecord& record, const AnyKey& key, std::string_view value) noexcept {
  const bool is_short = value.size() <= short_text &&
                        value.size() <= static_cast<std::size_t>(record.text_end - record.text) &&
                        value.size() <= record.limits->attribute_value_length;
  AttributeSlot* slot = is_short ? take_slot(record, key) : nullptr;
  if (slot == nullptr) [[unlikely]]
    return record_slowly(record, key, value);
  char* text = record.text;
  record.text = text + value.size();
  copy_short(text, value.data(), value.size());
  slot->payload.pointer = text;
  slot->descriptor = AttributeSlot::describe(key, AttributeType::string, value.size());
}

void record_static_string(SpanRecord& record, const AnyKey& key, std::string_view value) noexcept {
  AttributeSlot* slot =
      value.size() <= record.limits->attribute_value_length ? take_slot(record, key) : nullptr;
  if (slot == nullptr) [[unlikely]]
    return record_slowly(record, key, value);
  slot->payload.pointer = value.data();
  slot->descriptor = AttributeSlot::describe(key, AttributeType::string, value.size());
}

void record_integer(SpanRecord& record, const AnyKey& key, std::int64_t value) noexcept {
  AttributeSlot* slot = take_slot(record, key);
  if (slot == nullptr) [[unlikely]]
    return record_slowly(record, key, value);
  slot->payload.integer = value;
  slot->descriptor = AttributeSlot::describe(key, AttributeType::integer, 0);
}

void record_real(SpanRecord& record, const AnyKey& key, double value) noexcept {
  AttributeSlot* slot = take_slot(record, key);
  if (slot == nullptr) [[unlikely]]
    return record_slowly(record, key, value);
  slot->payload.real = value;
  slot->descriptor = AttributeSlot::describe(key, AttributeType::real, 0);
}

void record_boolean(SpanRecord& record, const AnyKey& key, bool value) noexcept {
  AttributeSlot* slot = take_slot(record, key);
  if (slot == nullptr) [[unlikely]]
    return record_slowly(record, key, value);
  slot->payload.integer = 0;
  slot->payload.boolean = value;
  slot->descriptor = AttributeSlot::describe(key, AttributeType::boolean, 0);
}

void record_status(SpanRecord& record, StatusCode code, std::string_view description) noexcept {
  if (code == StatusCode::unset || record.status == StatusCode::ok) return;
  record.status = code;
  if (code != StatusCode::error || description.empty()) {
    record.totals.status_description_size = 0;
    return;
  }
  const std::uint32_t limit = record.limits->attribute_value_length;
  const std::string_view copy = copy_text(record, description, limit);
  if (!is_better(copy, description, limit, record.totals.status_description_size)) return;
  record.totals.status_description = copy.data();
  record.totals.status_description_size = static_cast<std::uint32_t>(copy.size());
}

void record_event(SpanRecord& record, std::string_view name, std::uint64_t tick,
                  std::span<const Attribute> attributes) noexcept {
  auto* node =
      record.totals.event_count < record.limits->event_count ? allocate_array<EventNode>(record, 1) : nullptr;
  if (node == nullptr) {
    ++record.totals.dropped_events;
    count(Counter::dropped_events);
    return;
  }
  const std::string_view copy = copy_text(record, name, SpanLimits::unlimited);
  std::uint32_t dropped = 0;
  const AttributeStorage storage =
      copy_attributes(record, attributes, record.limits->event_attribute_count, dropped);
  new (node) EventNode{nullptr, copy.data(), tick, storage, static_cast<std::uint32_t>(copy.size()), dropped};
  (record.totals.last_event == nullptr ? record.totals.first_event : record.totals.last_event->next) = node;
  record.totals.last_event = node;
  ++record.totals.event_count;
}

void record_link(SpanRecord& record, const Link& link) noexcept {
  // A link without ids but with a tracestate or attributes is legal, an empty one says nothing.
  if (!link.context.valid() && link.attributes.empty() && link.context.trace_state.empty()) return;
  auto* node = record.totals.link_count < record.link_limit ? allocate_array<LinkNode>(record, 1) : nullptr;
  if (node == nullptr) {
    ++record.totals.dropped_links;
    count(Counter::dropped_links);
    return;
  }
  std::uint32_t dropped = 0;
  const AttributeStorage storage =
      copy_attributes(record, link.attributes, record.limits->link_attribute_count, dropped);
  new (node) LinkNode{nullptr, link.context, storage, dropped};
  (record.totals.last_link == nullptr ? record.totals.first_link : record.totals.last_link->next) = node;
  record.totals.last_link = node;
  ++record.totals.link_count;
}

}  // namespace v1
}  // namespace midtrace
