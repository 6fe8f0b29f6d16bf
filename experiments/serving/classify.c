/* Asks an exported model through TensorFlow's C library: no Python is needed.
 *
 *   classify MODEL FILE...                  image files: JPEG, PNG, BMP or GIF
 *   classify --pixels=HxWxC MODEL FILE...   files of H*W*C bytes, one a value
 *
 * MODEL is the folder with saved_model.pb. All files go through the network together.
 * Prints a line for each: its name, and the probabilities of all classes.
 * docs/serving.md has the command that compiles it.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"

typedef struct {
  const uint8_t *start;
  size_t size;
} Bytes;

static void refuse(const char *what, const char *why) {
  fprintf(stderr, "classify: %s: %s\n", what, why);
  exit(2);
}

static void check(TF_Status *status, const char *what) {
  if (TF_GetCode(status) != TF_OK) refuse(what, TF_Message(status));
}

static Bytes read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) refuse(path, "cannot be opened");
  fseek(file, 0, SEEK_END);
  long size = ftell(file);
  rewind(file);
  uint8_t *content = malloc(size > 0 ? size : 1);
  if (size < 0 || !content || fread(content, 1, size, file) != (size_t)size)
    refuse(path, "cannot be read");
  fclose(file);
  return (Bytes){content, size};
}

/* === Which tensors are behind a signature? === */

static uint64_t next_number(Bytes *message) {
  uint64_t number = 0;
  for (int shift = 0; message->size && shift < 64; shift += 7) {
    uint8_t byte = *message->start++;
    message->size--;
    number |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) return number;
  }
  refuse("saved_model.pb", "its signatures cannot be read");
  return 0;
}

static Bytes next_bytes(Bytes *message, uint64_t size) {
  if (size > message->size)
    refuse("saved_model.pb", "its signatures cannot be read");
  Bytes found = {message->start, size};
  message->start += size;
  message->size -= size;
  return found;
}

/* Returns the next field of this number in a protocol buffer; at the end, nothing. */
static Bytes next_field(Bytes *message, uint64_t wanted) {
  while (message->size) {
    uint64_t tag = next_number(message), kind = tag & 7;
    Bytes value = {NULL, 0};
    if (kind == 0)
      next_number(message);
    else
      value = next_bytes(
          message, kind == 1 ? 8 : kind == 5 ? 4 : next_number(message));
    if (tag >> 3 == wanted && kind == 2) return value;
  }
  return (Bytes){NULL, 0};
}

/* Returns the value of a key in a field that is a map from strings. */
static Bytes entry(Bytes message, uint64_t field, const char *key) {
  for (Bytes pair; (pair = next_field(&message, field)).start;) {
    Bytes rest = pair, name = next_field(&rest, 1);
    if (name.size == strlen(key) && !memcmp(name.start, key, name.size))
      return next_field(&pair, 2);
  }
  refuse(key, "the model has no signature, input or output of this name");
  return message;
}

/* Returns the tensor of an input (1) or an output (2) of a signature. */
static TF_Output tensor_of(TF_Graph *graph, Bytes signature, int side,
                           const char *key) {
  Bytes info = entry(signature, side, key), text = next_field(&info, 1);
  char *name = calloc(text.size + 1, 1); /* such as "serving_bytes_x:0" */
  memcpy(name, text.start, text.size);
  char *colon = strrchr(name, ':');
  if (colon) *colon = 0;
  TF_Operation *operation = TF_GraphOperationByName(graph, name);
  if (!operation) refuse(name, "the graph has no operation of this name");
  TF_Output found = {operation, colon ? atoi(colon + 1) : 0};
  free(name);
  return found;
}

/* === What goes in === */

static TF_Tensor *of_image_files(char **paths, int count) {
  int64_t shape[] = {count};
  TF_Tensor *tensor =
      TF_AllocateTensor(TF_STRING, shape, 1, count * sizeof(TF_TString));
  TF_TString *strings = TF_TensorData(tensor);
  for (int i = 0; i < count; i++) {
    Bytes content = read_file(paths[i]);
    TF_StringInit(&strings[i]);
    TF_StringCopy(&strings[i], (const char *)content.start, content.size);
    free((void *)content.start);
  }
  return tensor;
}

static TF_Tensor *of_pixels(char **paths, int count, const char *size) {
  unsigned height, width, channels;
  char rest;
  if (sscanf(size, "%ux%ux%u%c", &height, &width, &channels, &rest) != 3)
    refuse(size, "should be as in --pixels=224x224x3");
  int64_t shape[] = {count, height, width, channels};
  size_t each = (size_t)height * width * channels;
  TF_Tensor *tensor = TF_AllocateTensor(TF_UINT8, shape, 4, count * each);
  for (int i = 0; i < count; i++) {
    Bytes content = read_file(paths[i]);
    if (content.size != each) refuse(paths[i], "has another number of bytes");
    memcpy((uint8_t *)TF_TensorData(tensor) + i * each, content.start, each);
    free((void *)content.start);
  }
  return tensor;
}

int main(int argc, char **argv) {
  static const char option[] = "--pixels=";
  int pixels = argc > 1 && !strncmp(argv[1], option, strlen(option));
  char **arguments = argv + 1 + pixels;
  int count = argc - 2 - pixels;
  if (count < 1) refuse("usage", "classify [--pixels=HxWxC] MODEL FILE...");

  TF_Status *status = TF_NewStatus();
  TF_Graph *graph = TF_NewGraph();
  TF_Buffer *meta_graph = TF_NewBuffer();
  const char *tags[] = {"serve"};
  TF_Session *session =
      TF_LoadSessionFromSavedModel(TF_NewSessionOptions(), NULL, arguments[0],
                                   tags, 1, graph, meta_graph, status);
  check(status, arguments[0]);
  Bytes described = {meta_graph->data, meta_graph->length};
  Bytes signature =
      entry(described, 5, pixels ? "serving_uint8" : "serving_bytes");
  TF_Output input =
      tensor_of(graph, signature, 1, pixels ? "images" : "image_bytes");
  TF_Output output = tensor_of(graph, signature, 2, "probabilities");

  char **paths = arguments + 1;
  TF_Tensor *given = pixels
                         ? of_pixels(paths, count, argv[1] + strlen(option))
                         : of_image_files(paths, count);
  TF_Tensor *answer = NULL;
  TF_SessionRun(session, NULL, &input, &given, 1, &output, &answer, 1, NULL, 0,
                NULL, status);
  check(status, "the request");
  const float *probabilities = TF_TensorData(answer);
  int64_t classes = TF_Dim(answer, 1);
  for (int i = 0; i < count; i++) {
    fputs(paths[i], stdout);
    for (int64_t k = 0; k < classes; k++)
      printf(" %.8f", probabilities[i * classes + k]);
    putchar('\n');
  }
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  return 0;
}
