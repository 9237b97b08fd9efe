#include "batch_text.h"

namespace midtrace {
inline namespace v1 {
namespace redis {
namespace detail {

void BatchText::clear() noexcept {
  text_.clear();
  same_ = 0;
  differ_ = false;
  full_ = false;
}

void BatchText::join(std::string_view text, std::size_t most) {
  if (text_.size() + 2 + text.size() + reserve > most) {
    full_ = true;
    if (text_.size() + reserve <= most) text_.append("; ...");
    return;
  }
  text_.append("; ").append(text);
}

void BatchText::add(std::string_view text, std::size_t most) noexcept {
  if (full_) return;
  try {
    if (same_ == 0) {
      text_.assign(text);
      same_ = 1;
      return;
    }
    if (!differ_ && text == text_) {
      ++same_;
      return;
    }
    if (!differ_) {
      differ_ = true;
      const std::string first = text_;
      for (; same_ > 1 && !full_; --same_)
        join(first, most);
    }
    if (!full_) join(text, most);
  } catch (...) {
    full_ = true;
  }
}

}  // namespace detail
}  // namespace redis
}  // namespace v1
}  // namespace midtrace
