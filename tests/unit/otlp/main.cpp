// The environment of whoever runs the tests must not reach them: libcurl obeys proxy variables, and so does a
// look-up.
#include <gtest/gtest.h>

#include <cstdlib>

int main(int count, char** arguments) {
  for (const char* variable : {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"})
    unsetenv(variable);
  testing::InitGoogleTest(&count, arguments);
  return RUN_ALL_TESTS();
}
