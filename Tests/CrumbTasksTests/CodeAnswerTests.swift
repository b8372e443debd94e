import CrumbTasks
import Testing

