// Runs a fuzz target over the files of directories, for compilers without libFuzzer and as an ordinary test.
//
// Usage: midtrace_replay_<name> DIRECTORY...   Fails when there is nothing to replay.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "check.h"

namespace {

void run(const std::string& input) {
  // In a block of exactly its size, so that AddressSanitizer sees every step beyond.
  const auto exact = std::make_unique<std::uint8_t[]>(input.size());
  std::copy(input.begin(), input.end(), exact.get());
  LLVMFuzzerTestOneInput(exact.get(), input.size());
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::filesystem::path> files;
  for (int i = 1; i < argc; ++i)
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i]))
      if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::size_t runs = 0;
  for (const auto& file : files) {
    std::ifstream stream(file, std::ios::binary);
    if (!stream) {
      std::fprintf(stderr, "cannot read %s\n", file.c_str());
      return 1;
    }
    const std::string input(std::istreambuf_iterator<char>(stream), {});
    std::fprintf(stderr, "%s\n", file.c_str());
    // Every beginning of the file and the file without its beginning, which finds reads beyond the end.
    const std::size_t step = std::max<std::size_t>(1, input.size() / 256);
    for (std::size_t cut = 0; cut < input.size(); cut += step) {
      run(input.substr(0, cut));
      run(input.substr(cut));
      runs += 2;
    }
    run(input);
    ++runs;
  }
  if (files.empty()) {
    std::fprintf(stderr, "nothing to replay: name a directory with corpus files\n");
    return 1;
  }
  std::printf("%zu files, %zu inputs\n", files.size(), runs);
  return 0;
}
