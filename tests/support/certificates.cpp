#include "support/certificates.h"

#include <chrono>
#include <fstream>
#include <utility>
#include <vector>

#include "support/child_process.h"

namespace midtrace::test {

bool make_certificates(const std::filesystem::path& directory, std::string& why_not) {
  const std::string openssl = find_program("openssl");
  if (openssl.empty()) {
    why_not = "the program openssl is not there";
    return false;
  }
  std::ofstream(directory / "server.ext") << "subjectAltName=IP:127.0.0.1,DNS:localhost\n";
  std::ofstream(directory / "elsewhere.ext") << "subjectAltName=DNS:elsewhere.example\n";
  std::ofstream(directory / "expired.ext") << "subjectAltName=IP:127.0.0.1,DNS:localhost\n";
  std::ofstream(directory / "client.ext") << "extendedKeyUsage=clientAuth\n";
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), openssl);
    ProcessOptions options;
    options.arguments = std::move(arguments);
    options.working_directory = directory;
    options.log_file = directory / "openssl.log";
    const auto status = run_process(options, std::chrono::seconds(30), &why_not);
    if (status && status->success()) return true;
    why_not += " openssl failed: " + last_lines(directory / "openssl.log", 3);
    return false;
  };
  const auto key = [](const std::string& name) -> std::vector<std::string> {
    return {"req",    "-newkey", "ec",         "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-nodes", "-keyout", name + ".key"};
  };
  const auto with = [](std::vector<std::string> first, std::vector<std::string> more) {
    first.insert(first.end(), more.begin(), more.end());
    return first;
  };
  if (!run(with(key("authority"),
                {"-x509", "-days", "2", "-subj", "/CN=midtrace test authority", "-out", "authority.pem"})))
    return false;
  for (const std::string name : {"server", "elsewhere", "expired", "client"}) {
    if (!run(with(key(name), {"-subj", "/CN=" + name, "-out", name + ".csr"})) ||
        !run({"x509", "-req", "-in", name + ".csr", "-CA", "authority.pem", "-CAkey", "authority.key",
              "-CAcreateserial", "-days", name == "expired" ? "-1" : "2", "-extfile", name + ".ext", "-out",
              name + ".pem"}))
      return false;
  }
  return true;
}

}  // namespace midtrace::test
