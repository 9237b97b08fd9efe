// Attribute keys and values as they are handed to a span, a link or an event.
//
// AttributeKey<T> is a typed constant made from a string literal: its name is referenced, never copied, and a
// value of another type does not compile. A plain string works as a key too and is copied into the span.
// AttributeValue is a non-owning view: string, bool, 64-bit integer, double, or an array of one of them. It
// must not outlive what it was made from; the span copies what it keeps, except a StaticString, which it
// references. Source: OpenTelemetry Common, Attributes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace midtrace {
inline namespace v1 {

// FNV-1a over the name, so that a span finds an earlier value of the same key without comparing text.
constexpr std::uint32_t attribute_name_hash(std::string_view name) noexcept {
  std::uint32_t hash = 2166136261U;
  for (const char c : name)
    hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return hash;
}

// A string with static storage duration, which a span may reference instead of copying.
class StaticString {
 public:
  template <std::size_t Size>
  consteval StaticString(const char (&literal)[Size]) noexcept : text_(literal, Size - 1) {}  // NOLINT
  constexpr std::string_view text() const noexcept { return text_; }

 private:
  std::string_view text_;
};

// Any key. Made from a plain string it refers to that string, which the span copies. Names are cut at 65535
// bytes.
class AnyKey {
 public:
  constexpr AnyKey(std::string_view name) noexcept  // NOLINT(google-explicit-constructor)
      : AnyKey(name.substr(0, 0xFFFF), false) {}
  constexpr AnyKey(const char* name) noexcept : AnyKey(std::string_view(name)) {}  // NOLINT
  AnyKey(const std::string& name) noexcept : AnyKey(std::string_view(name)) {}     // NOLINT

  constexpr std::string_view name() const noexcept { return {name_, (word_ >> size_at) & 0xFFFFU}; }
  constexpr bool is_static() const noexcept { return (word_ & static_bit) != 0; }

  // What a span keeps of a key besides its text, placed as there: the name's size and a part of its hash.
  // Equal for equal names.
  static constexpr std::uint64_t identity_bits = 0xFF00FFFF00000000U;
  constexpr std::uint64_t identity() const noexcept { return word_ & identity_bits; }
  // Another part of the hash, 0 to 255.
  constexpr unsigned filter_index() const noexcept { return static_cast<unsigned>(word_ & 0xFFU); }

 protected:
  constexpr AnyKey(std::string_view name, bool is_static) noexcept : name_(name.data()) {
    const std::uint64_t hash = attribute_name_hash(name);
    // These bits of the hash differ between all keys of a typical messaging or database span.
    word_ = ((hash >> 14U) & 0xFFU) | (is_static ? static_bit : 0) |
            (static_cast<std::uint64_t>(name.size()) << size_at) | ((hash >> 24U) << tag_at);
  }

 private:
  static constexpr unsigned size_at = 32;
  static constexpr unsigned tag_at = 56;
  static constexpr std::uint64_t static_bit = 1U << 8U;

  const char* name_;
  std::uint64_t word_ = 0;
};
static_assert(sizeof(AnyKey) == 16);

// A key of which the value type is known: std::string_view, bool, std::int64_t, double, or std::span<const
// ...> of one.
template <class Value>
class AttributeKey : public AnyKey {
 public:
  using value_type = Value;

  template <std::size_t Size>
  consteval explicit AttributeKey(const char (&literal)[Size]) noexcept
      : AnyKey(std::string_view(literal, Size - 1), true) {
    static_assert(Size > 1 && Size - 1 <= 0xFFFF, "the name of an attribute has 1 to 65535 bytes");
  }
};

enum class AttributeType : std::uint8_t {
  string,
  boolean,
  integer,
  real,
  string_array,
  boolean_array,
  integer_array,
  real_array,
};

class AttributeValue {
 public:
  template <class Bool>
  requires std::is_same_v<Bool, bool>
  constexpr AttributeValue(Bool value) noexcept : type_(AttributeType::boolean) {  // NOLINT
    payload_.boolean = value;
  }
  template <class Integer>
  requires(std::is_integral_v<Integer> &&
           !std::is_same_v<Integer, bool>) constexpr AttributeValue(Integer value) noexcept
      : type_(AttributeType::integer) {  // NOLINT
    payload_.integer = static_cast<std::int64_t>(value);
  }
  constexpr AttributeValue(double value) noexcept : type_(AttributeType::real) {
    payload_.real = value;
  }                                                          // NOLINT
  constexpr AttributeValue(std::string_view value) noexcept  // NOLINT
      : size_(value.size()), type_(AttributeType::string) {
    payload_.pointer = value.data();
  }
  constexpr AttributeValue(const char* value) noexcept : AttributeValue(std::string_view(value)) {}  // NOLINT
  AttributeValue(const std::string& value) noexcept : AttributeValue(std::string_view(value)) {}     // NOLINT
  constexpr AttributeValue(StaticString value) noexcept : AttributeValue(value.text()) {             // NOLINT
    is_static_ = true;
  }
  constexpr AttributeValue(std::span<const std::string_view> values) noexcept  // NOLINT
      : AttributeValue(values.data(), values.size(), AttributeType::string_array) {}
  constexpr AttributeValue(std::span<const bool> values) noexcept  // NOLINT
      : AttributeValue(values.data(), values.size(), AttributeType::boolean_array) {}
  constexpr AttributeValue(std::span<const std::int64_t> values) noexcept  // NOLINT
      : AttributeValue(values.data(), values.size(), AttributeType::integer_array) {}
  constexpr AttributeValue(std::span<const double> values) noexcept  // NOLINT
      : AttributeValue(values.data(), values.size(), AttributeType::real_array) {}

  constexpr AttributeType type() const noexcept { return type_; }
  constexpr bool is_static() const noexcept { return is_static_; }
  // Bytes of a string, elements of an array, otherwise 0.
  constexpr std::size_t size() const noexcept { return size_; }

  // Each may be called only when type() says so.
  constexpr bool as_boolean() const noexcept { return payload_.boolean; }
  constexpr std::int64_t as_integer() const noexcept { return payload_.integer; }
  constexpr double as_real() const noexcept { return payload_.real; }
  std::string_view as_string() const noexcept { return {static_cast<const char*>(payload_.pointer), size_}; }
  std::span<const std::string_view> as_string_array() const noexcept {
    return {static_cast<const std::string_view*>(payload_.pointer), size_};
  }
  std::span<const bool> as_boolean_array() const noexcept {
    return {static_cast<const bool*>(payload_.pointer), size_};
  }
  std::span<const std::int64_t> as_integer_array() const noexcept {
    return {static_cast<const std::int64_t*>(payload_.pointer), size_};
  }
  std::span<const double> as_real_array() const noexcept {
    return {static_cast<const double*>(payload_.pointer), size_};
  }

 private:
  constexpr AttributeValue(const void* data, std::size_t size, AttributeType type) noexcept
      : size_(size), type_(type) {
    payload_.pointer = data;
  }

  union Payload {
    const void* pointer = nullptr;
    std::int64_t integer;
    double real;
    bool boolean;
  };
  Payload payload_;
  std::size_t size_ = 0;
  AttributeType type_;
  bool is_static_ = false;
};

struct Attribute {
  AnyKey key;
  AttributeValue value;
};

}  // namespace v1
}  // namespace midtrace
