// ByteBuffer: what protozero writes into: bytes that grow and keep their memory for the next batch.
//
// Unlike std::string it writes no zeros into room that is about to be written. Growing may throw
// std::bad_alloc; nothing else throws. One thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>

#include <protozero/buffer_tmpl.hpp>

namespace midtrace {
inline namespace v1 {
namespace otlp {

class ByteBuffer {
 public:
  std::size_t size() const noexcept { return size_; }
  std::size_t capacity() const noexcept { return capacity_; }
  char* data() noexcept { return bytes_.get(); }
  std::string_view view() const noexcept { return {bytes_.get(), size_}; }

  void clear() noexcept { size_ = 0; }
  // Gives the memory back.
  void release() noexcept {
    bytes_.reset();
    size_ = 0;
    capacity_ = 0;
  }
  void reserve(std::size_t bytes) {
    if (bytes > capacity_) grow(bytes);
  }
  // Room that is there; the bytes in it are anything.
  void resize(std::size_t bytes) {
    reserve(bytes);
    size_ = bytes;
  }
  void push_back(char byte) {
    if (size_ == capacity_) [[unlikely]]
      grow(size_ + 1);
    bytes_[size_++] = byte;
  }
  void append(const char* bytes, std::size_t count) {
    if (count == 0) return;  // there may be no memory yet to copy to
    if (count > capacity_ - size_) [[unlikely]]
      grow(size_ + count);
    std::memcpy(bytes_.get() + size_, bytes, count);
    size_ += count;
  }
  void erase(std::size_t from, std::size_t to) noexcept {
    std::memmove(bytes_.get() + from, bytes_.get() + to, size_ - to);
    size_ -= to - from;
  }

 private:
  void grow(std::size_t least) {
    constexpr std::size_t first = 4096;
    const std::size_t capacity = std::max({least, capacity_ * 2, first});
    auto bytes = std::make_unique_for_overwrite<char[]>(capacity);
    if (size_ != 0) std::memcpy(bytes.get(), bytes_.get(), size_);
    bytes_ = std::move(bytes);
    capacity_ = capacity;
  }

  std::unique_ptr<char[]> bytes_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace otlp
}  // namespace v1
}  // namespace midtrace

// The interface that protozero asks for.
template <>
struct protozero::buffer_customization<midtrace::otlp::ByteBuffer> {
  using Buffer = midtrace::otlp::ByteBuffer;
  static std::size_t size(const Buffer* buffer) noexcept { return buffer->size(); }
  static void append(Buffer* buffer, const char* data, std::size_t count) { buffer->append(data, count); }
  static void append_zeros(Buffer* buffer, std::size_t count) { buffer->resize(buffer->size() + count); }
  static void resize(Buffer* buffer, std::size_t size) { buffer->resize(size); }
  static void reserve_additional(Buffer* buffer, std::size_t size) { buffer->reserve(buffer->size() + size); }
  static void erase_range(Buffer* buffer, std::size_t from, std::size_t to) { buffer->erase(from, to); }
  static char* at_pos(Buffer* buffer, std::size_t position) { return buffer->data() + position; }
  static void push_back(Buffer* buffer, char byte) { buffer->push_back(byte); }
};
