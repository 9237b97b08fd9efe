// BatchText: db.query.text of several commands, joined by `; `.
//
// While all texts are the same it is that text, once. A text that does not fit any more, and all after it,
// are `...`: `GET a; GET b; ...`. Nothing throws: without memory the text ends early. One thread at a time.
// Source: conventions 3.6.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace midtrace {
inline namespace v1 {
namespace redis {
namespace detail {

class BatchText {
 public:
  // What a text must leave free behind it, so that it can be said that more follow.
  static constexpr std::size_t reserve = 5;

  // `most`: bytes of the whole.
  void add(std::string_view text, std::size_t most) noexcept;
  // Nothing that is added would change it.
  bool full() const noexcept { return full_; }
  std::string_view text() const noexcept { return text_; }
  void clear() noexcept;

 private:
  void join(std::string_view text, std::size_t most);

  std::string text_;
  std::uint64_t same_ = 0;  // how many commands the text stands for, while they are the same
  bool differ_ = false;
  bool full_ = false;
};

}  // namespace detail
}  // namespace redis
}  // namespace v1
}  // namespace midtrace
