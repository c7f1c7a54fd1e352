/* Says hello, how much time is left, and how much it was sent. */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "hourglass.h"

int main(void) {
  char piece[16 * 1024];
  size_t bytes = 0;
  ssize_t len;
  while ((len = read(STDIN_FILENO, piece, sizeof piece)) > 0) bytes += (size_t)len;
  if (len < 0) {
    perror("the request broke off");
    return 1;
  }

  printf("Content-Type: text/plain; charset=utf-8\n\n");
  const char *path = getenv("PATH_INFO");
  printf("hello %s, from C\n", path && path[0] == '/' && path[1] ? path + 1 : "world");
  int64_t left = hourglass_remaining();
  if (left >= 0) printf("%lld ms left\n", (long long)(left / 1000000));
  printf("%zu bytes\n", bytes);
  return 0;
}
