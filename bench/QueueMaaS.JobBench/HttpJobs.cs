using System.Net.Http.Headers;
using System.Text;

namespace QueueMaaS.JobBench;

/// <summary>Submits jobs as a user of the API does.</summary>
internal static class HttpJobs
{
    /// <summary>Posts one job; answers the response where it was accepted.</summary>
    /// <exception cref="InvalidOperationException">It was refused; the message has the problem.</exception>
    public static async Task<HttpResponseMessage> PostAsync(HttpClient http, string job)
    {
        using var body = new ByteArrayContent(Encoding.UTF8.GetBytes(job)) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };
        var response = await http.PostAsync("v1/jobs", body);
        return response.IsSuccessStatusCode ? response : throw new InvalidOperationException(await response.Content.ReadAsStringAsync());
    }
}
