// SpanRecord: the flat memory a recording span writes into, and the functions that write it.
//
// 1024 bytes: a header, 12 attribute slots, and text; what does not fit goes into a chain of pooled slabs.
// Constants and static strings are referenced, everything else is copied. The memory comes from a pool and is
// never given back to the system, so a stale pointer reads a record, never an unmapped page.
//
// A record belongs to one thread at a time: the span's owner until finish, the collector afterwards.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <span>
#include <string_view>

#include <midtrace/trace/span.h>
#include <midtrace/trace/types.h>

namespace midtrace {
inline namespace v1 {

struct Lease;

struct AttributeSlot {
  union Payload {
    const void* pointer;
    std::int64_t integer;
    double real;
    bool boolean;
  };
  const char* key;
  Payload payload;
  // From the lowest bit: 32 of the value's size (bytes of a string, elements of an array), 16 of the key's
  // size, 8 of the type, 8 of the key's hash. One word, so that it is written by one store.
  std::uint64_t descriptor;

  static constexpr std::uint64_t describe(const AnyKey& of, AttributeType type,
                                          std::size_t value_size) noexcept {
    return (value_size & 0xFFFFFFFFU) | (static_cast<std::uint64_t>(type) << 48U) | of.identity();
  }
  std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(descriptor); }
  std::uint16_t key_size() const noexcept { return static_cast<std::uint16_t>(descriptor >> 32U); }
  AttributeType type() const noexcept { return static_cast<AttributeType>((descriptor >> 48U) & 0xFFU); }
  std::string_view key_view() const noexcept { return {key, key_size()}; }
  AttributeValue value() const noexcept;
};
static_assert(sizeof(AttributeSlot) == 24);

// A run of slots; runs are chained. The first run of a span is inline.
struct AttributeStorage {
  AttributeSlot* slots;
  AttributeStorage* next;
  std::uint32_t size;
};

struct EventNode {
  EventNode* next;
  const char* name;
  std::uint64_t tick;
  AttributeStorage attributes;
  std::uint32_t name_size;
  std::uint32_t dropped_attributes;
};

struct LinkNode {
  LinkNode* next;
  SpanContext context;
  AttributeStorage attributes;
  std::uint32_t dropped_attributes;
};

// A piece of memory for what does not fit into the record.
struct Slab {
  static constexpr std::size_t pooled_bytes = 4096;

  Slab* next;
  Lease* home;        // null: allocated for one large value, freed with the record
  std::size_t bytes;  // the whole allocation

  char* begin() noexcept { return reinterpret_cast<char*>(this + 1); }
  char* end() noexcept { return reinterpret_cast<char*>(this) + bytes; }
};

// What every span begins with as zero; in one piece, so that it is cleared by a few wide stores.
struct RecordTotals {
  std::uint64_t key_filter[4];  // a bit for each key that is there, by its hash
  Slab* slabs;
  EventNode* first_event;
  EventNode* last_event;
  LinkNode* first_link;
  LinkNode* last_link;
  const char* status_description;
  std::uint32_t status_description_size;
  std::uint32_t earlier_attributes;  // in the runs before the last
  std::uint32_t event_count;
  std::uint32_t link_count;
  std::uint32_t dropped_attributes;
  std::uint32_t dropped_events;
  std::uint32_t dropped_links;
  std::uint32_t slab_bytes;
};

struct alignas(64) SpanRecord {
  static constexpr std::size_t inline_attributes = 12;
  static constexpr std::size_t bytes = 1024;

  SpanRecord* next;  // in a free list or on its way back to one
  Lease* home;
  SpanContext context;
  SpanId parent_span_id;
  std::uint64_t start_tick;
  std::uint64_t end_tick;
  const InstrumentationScope* scope;
  const SpanLimits* limits;
  const char* name;
  std::uint32_t name_size;
  std::uint32_t link_limit;
  std::uint32_t fork_generation;
  // Grows when the record's span ends. Atomic, because whoever had the span current may still look at it.
  std::atomic<std::uint32_t> serial;
  SpanKind kind;
  StatusCode status;
  bool parent_remote;
  char* text;
  char* text_end;
  AttributeSlot* next_slot;  // of the last run
  AttributeSlot* end_slot;
  AttributeStorage* last_attributes;
  AttributeStorage attributes;
  RecordTotals totals;
  AttributeSlot inline_slots[inline_attributes];
  // On a line of its own, so that the lines before it hold nothing but what every span writes.
  alignas(64) char inline_text[384];

  std::string_view name_view() const noexcept { return {name, name_size}; }
  std::uint32_t attribute_count() const noexcept {
    return totals.earlier_attributes + static_cast<std::uint32_t>(next_slot - last_attributes->slots);
  }
  // The span that had the record has ended.
  void end_serial() noexcept {
    serial.store(serial.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  // The runs know their sizes once the last one does; called when no attribute will be added.
  void close_attributes() noexcept {
    last_attributes->size = static_cast<std::uint32_t>(next_slot - last_attributes->slots);
  }
};
static_assert(sizeof(SpanRecord) == SpanRecord::bytes);

// The library's own way from a span to its record.
struct SpanAccess {
  static SpanRecord* record(Span& span) noexcept { return span.record_; }
};

// Makes a taken record a span's. The name is copied.
void begin_record(SpanRecord& record, std::string_view name) noexcept;
// Releases what the record references and its slabs; it may then be reused.
void clear_record(SpanRecord& record) noexcept;

void record_attribute(SpanRecord& record, const AnyKey& key, const AttributeValue& value) noexcept;
// The same for one type each, with the value in registers.
void record_string(SpanRecord& record, const AnyKey& key, std::string_view value) noexcept;
void record_static_string(SpanRecord& record, const AnyKey& key, std::string_view value) noexcept;
void record_integer(SpanRecord& record, const AnyKey& key, std::int64_t value) noexcept;
void record_real(SpanRecord& record, const AnyKey& key, double value) noexcept;
void record_boolean(SpanRecord& record, const AnyKey& key, bool value) noexcept;
void record_name(SpanRecord& record, std::string_view name) noexcept;
void record_status(SpanRecord& record, StatusCode code, std::string_view description) noexcept;
void record_event(SpanRecord& record, std::string_view name, std::uint64_t tick,
                  std::span<const Attribute> attributes) noexcept;
void record_link(SpanRecord& record, const Link& link) noexcept;
// Status error and `error.type`.
void record_error(SpanRecord& record, std::string_view error_type, std::string_view description) noexcept;
// An event `exception`. Its type is the demangled name of the dynamic one.
void record_exception(SpanRecord& record, const std::exception& exception) noexcept;
// The same, and the span failed by it: status error, described by the message, and `error.type`.
void record_failure(SpanRecord& record, const std::exception& exception) noexcept;

}  // namespace v1
}  // namespace midtrace
