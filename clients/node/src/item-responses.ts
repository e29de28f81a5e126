/** What the responses of a stream tell. */

import { broken } from "./endings.js";
import type { PageAnswer, StreamLimits } from "./gen/ocrmux/ocr/v1/recognition.js";
import { StreamRecognizeResponse } from "./gen/ocrmux/preprocess/v1/preprocess.js";

/** A response from its bytes. What cannot be read is a message of no kind, for which `contentOf` throws. */
export function decodedResponse(bytes: Buffer): StreamRecognizeResponse {
  try {
    return StreamRecognizeResponse.decode(bytes);
  } catch {
    return { message: undefined };
  }
}

/** The limits, which come first and once, or answers. Throws OcrMuxError for a breach of protocol. */
export function contentOf(
  { message }: StreamRecognizeResponse,
  limitsAreKnown: boolean,
): { limits: StreamLimits } | { answers: readonly PageAnswer[] } {
  if ((message?.$case === "limits") === limitsAreKnown) {
    throw broken(limitsAreKnown ? "the server sent its limits twice" : "the server answered before its limits");
  }
  switch (message?.$case) {
    case "limits":
      return { limits: message.value };
    case "answer":
      return { answers: [message.value] };
    case "batch":
      return message.value;
    case undefined:
      throw broken("the server sent a message that is neither an answer nor a batch of them");
  }
}
