// Descriptor: an append-only file or standard output, written whole lines at a time, and only while it is
// still ours.
//
// The application may close all descriptors it does not know (daemons do) and then be handed the same number
// for a file of its own. So the file's identity is kept and compared before anything is written or closed.
// All functions are safe in a forked child. Nothing throws. One thread at a time.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

namespace midtrace {
inline namespace v1 {

namespace descriptor {

inline constexpr int patience_milliseconds = 1000;
inline constexpr int first_own_number = STDERR_FILENO + 1;

// Where the application has closed a standard stream, the kernel hands its number out: to us, and printf
// would then write into our file. So such a number is exchanged for a higher one. -1 and errno when that
// fails.
inline int above_standard_streams(int number) noexcept {
  if (number >= first_own_number) return number;
  const int higher = fcntl(number, F_DUPFD_CLOEXEC, first_own_number);
  const int reason = errno;
  ::close(number);
  errno = reason;
  return higher;
}

}  // namespace descriptor

class Descriptor {
 public:
  Descriptor() noexcept = default;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { close(); }

  // Opens for appending, creating the file with mode 0644. Does not wait for the reader of a named pipe.
  // Returns 0 or an errno value.
  int open_for_append(const char* path) noexcept;
  // Takes a descriptor of the application's (1 or 2), which is never closed.
  void borrow(int number) noexcept;
  // Whether there is one and it still leads to the same file. Forgets it otherwise.
  bool usable() noexcept;
  // Writes all of `bytes`, waiting where the reader is slow, but no longer than a second without progress.
  // Returns 0 or an errno value; `written` says how much went out either way.
  int write_all(std::string_view bytes, std::size_t& written) noexcept;
  void close() noexcept;

 private:
  int number_ = -1;
  bool borrowed_ = false;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

inline int Descriptor::open_for_append(const char* path) noexcept {
  close();
  int number = -1;
  do {
    // O_NONBLOCK only for the opening: a named pipe without a reader must not hold up the caller.
    number = ::open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);
  } while (number < 0 && errno == EINTR);
  if (number >= 0) number = descriptor::above_standard_streams(number);
  if (number < 0) return errno;
  struct stat status {};
  if (fstat(number, &status) != 0) {
    const int reason = errno;
    ::close(number);
    return reason;
  }
  number_ = number;
  borrowed_ = false;
  device_ = status.st_dev;
  inode_ = status.st_ino;
  return 0;
}

inline void Descriptor::borrow(int number) noexcept {
  close();
  number_ = number;
  borrowed_ = true;
}

inline bool Descriptor::usable() noexcept {
  if (number_ < 0) return false;
  if (borrowed_) return true;
  struct stat status {};
  if (fstat(number_, &status) == 0 && status.st_dev == device_ && status.st_ino == inode_) return true;
  number_ = -1;
  return false;
}

inline int Descriptor::write_all(std::string_view bytes, std::size_t& written) noexcept {
  written = 0;
  while (written < bytes.size()) {
    const ssize_t count = ::write(number_, bytes.data() + written, bytes.size() - written);
    if (count > 0) {
      written += static_cast<std::size_t>(count);
    } else if (count == 0) {
      return EIO;
    } else if (errno == EAGAIN) {
      pollfd ready{number_, POLLOUT, 0};
      const int answer = poll(&ready, 1, descriptor::patience_milliseconds);
      if (answer == 0) return EAGAIN;
      if (answer < 0 && errno != EINTR) return errno;
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

inline void Descriptor::close() noexcept {
  if (!borrowed_ && usable()) ::close(number_);
  number_ = -1;
  borrowed_ = false;
}

}  // namespace v1
}  // namespace midtrace
