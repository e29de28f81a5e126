package io.ocrmux.examples;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.ocrmux.client.AnswerStream;
import io.ocrmux.client.Item;
import io.ocrmux.client.OcrMuxClient;
import io.ocrmux.client.OcrMuxException;
import io.ocrmux.client.ReadingConfig;
import io.ocrmux.ocr.v1.PageAnswer;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Reads all images, TIFFs and PDFs of a folder, and of the folders in it; writes one JSON object a page to standard
 * output. Exit status: 0 all were read, 1 some were not, 2 nothing could start.
 */
public final class ReadFolder {
  private static final Set<String> EXTENSIONS =
      Set.of("jpg", "jpeg", "png", "tif", "tiff", "webp", "bmp", "gif", "heic", "avif", "pdf");
  private static final int ALL_READ = 0;
  private static final int SOME_FAILED = 1;
  private static final int NOT_STARTED = 2;

  private final PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), false, UTF_8);
  private final List<Path> files;
  private int pages;
  private int failed;

  private ReadFolder(List<Path> files) {
    this.files = files;
  }

  /** See {@link Options#USAGE}. */
  public static void main(String[] arguments) {
    System.exit(run(arguments));
  }

  private static int run(String[] arguments) {
    Options options;
    try {
      options = Options.of(arguments, Optional.ofNullable(System.getenv("OCRMUX_TOKEN")));
      try (OcrMuxClient client = options.client()) {
        return new ReadFolder(files(options.folder())).read(client, options);
      }
    } catch (IllegalArgumentException usage) {
      System.err.println(usage.getMessage() + "\n" + Options.USAGE);
    } catch (IOException | UncheckedIOException error) {
      System.err.println(error.getMessage());
    }
    return NOT_STARTED;
  }

  private int read(OcrMuxClient client, Options options) {
    Iterator<Item> items =
        IntStream.range(0, files.size())
            .mapToObj(number -> Item.of(Integer.toString(number), files.get(number)))
            .iterator();
    try (AnswerStream answers = client.streamRecognize(items, ReadingConfig.defaults(), options.policy())) {
      answers.forEach(this::write);
    } catch (OcrMuxException error) {
      out.flush();
      System.err.println(error.getMessage());
      return pages == 0 ? NOT_STARTED : SOME_FAILED;
    }
    out.flush();
    System.err.printf("%d files, %d pages, %d failed%n", files.size(), pages, failed);
    return failed == 0 ? ALL_READ : SOME_FAILED;
  }

  private void write(PageAnswer answer) {
    String source = files.get(Integer.parseInt(answer.getRequestId())).toString();
    pages++;
    OcrMuxException.of(answer)
        .ifPresent(
            error -> {
              failed++;
              System.err.println(source + ": " + error.getMessage());
            });
    out.println(PageRecord.line(source, answer));
    out.flush();
  }

  private static List<Path> files(Path folder) throws IOException {
    try (Stream<Path> all = Files.walk(folder)) {
      return all.filter(file -> EXTENSIONS.contains(extension(file)) && Files.isRegularFile(file)).sorted().toList();
    } catch (FileSystemException error) {
      throw new UncheckedIOException(error); // its message alone may be no more than a path
    }
  }

  private static String extension(Path file) {
    String name = file.toString();
    return name.substring(name.lastIndexOf('.') + 1).toLowerCase(Locale.ROOT);
  }
}
