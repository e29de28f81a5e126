package io.ocrmux.conformance;

import com.sun.management.GarbageCollectionNotificationInfo;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryType;
import java.lang.management.MemoryPoolMXBean;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;
import javax.management.NotificationEmitter;
import javax.management.openmbean.CompositeData;

/** The most bytes of heap that were in use after a collection: what is held, without garbage not yet taken. */
final class HeapPeak {
  private final AtomicLong peak = new AtomicLong();
  private final Set<String> heapPools =
      ManagementFactory.getMemoryPoolMXBeans().stream()
          .filter(pool -> pool.getType() == MemoryType.HEAP)
          .map(MemoryPoolMXBean::getName)
          .collect(Collectors.toSet());

  /** Watches from now on. */
  void watch() {
    for (GarbageCollectorMXBean collector : ManagementFactory.getGarbageCollectorMXBeans()) {
      ((NotificationEmitter) collector)
          .addNotificationListener((notification, unused) -> collected(notification.getUserData()), null, null);
    }
  }

  /** Bytes; what is in use now where nothing was collected yet. */
  long bytes() {
    long now = ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
    return peak.get() > 0 ? peak.get() : now;
  }

  private void collected(Object data) {
    if (data instanceof CompositeData composite) {
      long used =
          GarbageCollectionNotificationInfo.from(composite).getGcInfo().getMemoryUsageAfterGc().entrySet().stream()
              .filter(entry -> heapPools.contains(entry.getKey()))
              .mapToLong(entry -> entry.getValue().getUsed())
              .sum();
      peak.accumulateAndGet(used, Math::max);
    }
  }
}
