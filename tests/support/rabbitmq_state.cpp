#include "support/rabbitmq_state.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace midtrace::test {

namespace fs = std::filesystem;

fs::path rabbitmq_state_file() {
  const char* directory = std::getenv("MIDTRACE_TEST_RABBITMQ_STATE");
  if (directory == nullptr || *directory == '\0') return {};
  return fs::path(directory) / ("run-" + std::to_string(::getppid()));
}

std::optional<RabbitmqState> read_rabbitmq_state() {
  const fs::path file = rabbitmq_state_file();
  if (file.empty()) return std::nullopt;
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  std::istringstream words(line);
  std::string kind;
  words >> kind;
  RabbitmqState state;
  if (kind == "missing") {
    std::getline(words >> std::ws, state.missing);
    return state;
  }
  std::string directory;
  words >> state.owner >> state.address.port >> state.address.tls_port >> state.address.mapper_port >>
      state.address.distribution_port;
  std::getline(words >> std::ws, directory);
  if (kind != "node" || !words || directory.empty()) return std::nullopt;
  state.address.directory = directory;

  const int descriptor = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0) return std::nullopt;
  // Shared, so that two tests that look at the same time do not take each other for the owner.
  const bool abandoned = ::flock(descriptor, LOCK_SH | LOCK_NB) == 0;
  ::close(descriptor);
  if (abandoned) return std::nullopt;
  return state;
}

bool write_rabbitmq_state(int descriptor, const RabbitmqState& state) {
  std::ostringstream text;
  if (!state.missing.empty()) {
    text << "missing " << state.missing << '\n';
  } else {
    text << "node " << state.owner << ' ' << state.address.port << ' ' << state.address.tls_port << ' '
         << state.address.mapper_port << ' ' << state.address.distribution_port << ' '
         << state.address.directory.string() << '\n';
  }
  const std::string line = text.str();
  return ::ftruncate(descriptor, 0) == 0 && ::lseek(descriptor, 0, SEEK_SET) == 0 &&
         ::write(descriptor, line.data(), line.size()) == static_cast<ssize_t>(line.size());
}

}  // namespace midtrace::test
