/* Answers with the request's body in upper case, piece by piece while it
 * arrives. Its input ends when its context is done, too: then it says so, as
 * what it has read was not the whole. */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hourglass.h"

int main(void) {
  const char *method = getenv("REQUEST_METHOD");
  if (!method || strcmp(method, "POST") != 0) {
    printf("Status: 405 Method Not Allowed\nAllow: POST\n\n");
    return 0;
  }
  printf("Content-Type: text/plain; charset=utf-8\n\n");
  fflush(stdout);

  char piece[16 * 1024];
  ssize_t len;
  while ((len = read(STDIN_FILENO, piece, sizeof piece)) > 0) {
    for (ssize_t at = 0; at < len; at++) piece[at] = (char)toupper((unsigned char)piece[at]);
    if (write(STDOUT_FILENO, piece, (size_t)len) != len) return 1;
  }
  if (len < 0) {
    perror("the request broke off");
    return 1;
  }
  if (hourglass_err() != 0) {
    char cause[128] = "";
    hourglass_cause(cause, sizeof cause);
    printf("\n(stopped: %s)\n", cause);
  }
  return 0;
}
