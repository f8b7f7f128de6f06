using System.Globalization;
using System.Text;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Notification;

namespace QueueMaaS.Storage.Signals;

/// <summary>Changes as lines of <c>id state sequence</c>: every process reads every change, so reading must be cheap.</summary>
internal static class SignalText
{
    public static string Write(IReadOnlyList<JobChange> changes)
    {
        var text = new StringBuilder(changes.Count * 48);
        foreach (var change in changes)
            text.Append(change.Id).Append(' ').Append((int)change.State).Append(' ').Append(change.Sequence).Append('\n');
        return text.ToString();
    }

    /// <summary>Lines that an older or newer process writes otherwise are passed over: whoever waits looks for itself.</summary>
    public static List<JobChange> Read(string text)
    {
        var changes = new List<JobChange>();
        foreach (var line in text.AsSpan().EnumerateLines())
        {
            var first = line.IndexOf(' ');
            var second = line.LastIndexOf(' ');
            if (first > 0 && second > first && int.TryParse(line[(first + 1)..second], NumberStyles.None, CultureInfo.InvariantCulture, out var state)
                && long.TryParse(line[(second + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out var sequence) && Enum.IsDefined((JobState)state))
                changes.Add(new JobChange(line[..first].ToString(), (JobState)state, sequence));
        }

        return changes;
    }
}
